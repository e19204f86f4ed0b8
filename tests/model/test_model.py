"""Whatever is asked of an account: engines on SQLite and PostgreSQL, and a small oracle, agree on what comes of it."""

import secrets
import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import postgres
from tests.model.lot import LOT
from tests.model.machine import AccountMachine, told
from tests.model.sides import IDS

HAS_POSTGRES = postgres.is_there()
QUICK = settings(
    max_examples=12,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

_WORKFLOW = "WorkflowNotFound"
_INSTANCE = (_WORKFLOW, "InstanceNotFound")
# What each operation may be refused with: all that its docstring says, but for what is said in UNSEEN.
REFUSALS: dict[str, tuple[str, ...]] = {
    "create": (
        *(_WORKFLOW, "InstanceAlreadyExists", "InvalidInstanceId", "InvalidInput", "IdempotencyKeyReused"),
        "QueueFull",
    ),
    "create_batch": (_WORKFLOW, "InvalidInstanceId", "QueueFull"),
    "send": (*_INSTANCE, "InvalidInput", "InstanceFinished", "IdempotencyKeyReused"),
    "pause": (*_INSTANCE, "InstanceFinished"),
    "resume": _INSTANCE,
    "terminate": (*_INSTANCE, "InstanceFinished"),
    "restart": _INSTANCE,
    "restart_from": (*_INSTANCE, "StepNotInHistory"),
    "delete": _INSTANCE,
    "force": (*_INSTANCE, "InstanceFinished", "InvalidInput"),
    "fork": (*_INSTANCE, "InvalidInstanceId", "StepNotInHistory", "InstanceAlreadyExists"),
    "move": (_WORKFLOW, "InvalidInput"),
    "put_workflow": ("InvalidInput",),
    "put_wrongly": ("UnknownScript", "WorkflowBelongs"),
    "delete_workflow": (_WORKFLOW,),
    "terminate_all": (_WORKFLOW,),
    "start_job": (_WORKFLOW, "IdempotencyKeyReused"),
    "get_job": ("JobNotFound",),
    "cancel_job": ("JobNotFound",),
    "change_schedule": (_WORKFLOW, "ScheduleNotFound"),
    "run_schedule": (_WORKFLOW, "ScheduleNotFound"),
    "share_limit": ("LimitNotFound",),
    "create_token": ("InvalidInput",),
    "authenticate": ("NotAuthenticated",),
    "get": _INSTANCE,
    "why": _INSTANCE,
    "step": (*_INSTANCE, "StepNotFound"),
    "list": (_WORKFLOW,),
    "search": (_WORKFLOW,),
    "version": (_WORKFLOW, "VersionNotFound"),
}
# What is never refused, and why.
NEVER_REFUSED = {
    "limit_account": "whatever number is given, what runs goes on",
    "retain": "an account that has said nothing has settings, too",
    "revoke": "a token that is none was good for nothing before",
}
# Errors that a docstring names, and that are not seen here.
UNSEEN = {
    (
        "create",
        "CreatedTooFast",
    ): "no rate is set: all of an example is created in moments of a clock that stands still",
    ("restart", "CreatedTooFast"): "as above",
    ("fork", "InvalidInput"): "no outputs or params are given: tests/engine/test_forks.py has them",
    ("fork", "VersionNotFound"): "as above, of versions",
    ("move", "VersionNotFound"): "the newest is meant; moves to code that is kept need a process: tests/crash/",
    ("resume_rollback", "NoFailedRollback"): "the programs undo nothing: tests/engine/test_rollback.py",
    ("change_schedule", "InvalidInput"): "time zones: tests/engine/test_schedules.py",
}
_EXPECTED = {(name, refusal) for name, refusals in REFUSALS.items() for refusal in refusals}
_EXPECTED |= {(name, "done") for name in (*REFUSALS, *NEVER_REFUSED)}


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all sides make the same ids, and nothing be counted yet."""
    monkeypatch.setattr(uuid, "uuid4", IDS.make)
    monkeypatch.setattr(secrets, "token_hex", IDS.make_hex)
    monkeypatch.setattr(secrets, "token_urlsafe", IDS.make_secret)
    told.clear()


@pytest.fixture
def on_both(require: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let there be an engine on PostgreSQL, too, in which no row number is reserved that is not used."""
    require(postgres.REASON, "the other store", HAS_POSTGRES)
    monkeypatch.setattr("stepwell.store.postgres.creations.RESERVED", 1)
    stores = postgres.Stores()
    monkeypatch.setattr(AccountMachine, "stores", stores)
    yield
    stores.close()


# Each of its examples is short, on a busy machine too; all together are not.
@pytest.mark.timeout(240)
@pytest.mark.sqlite
def test_an_account_is_what_the_oracle_says() -> None:
    """Answers, errors, logs, lists, counts, limits and schedules are; nearly all operations were asked for.

    What is drawn changes with the modules that are loaded, so the gates are those of the tests at length.
    """
    _run(1, QUICK)

    never_asked = {*REFUSALS, *NEVER_REFUSED} - {name for name, _ in told}
    assert len(never_asked) <= 3, never_asked


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_an_account_is_the_same_on_both_stores(on_both: None) -> None:
    """So it is on both stores, to the last column; each operation was done, and was refused."""
    for number in range(100, 105):
        _run(number, QUICK)

    assert _not_seen_at_all() == []


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.sqlite
def test_an_account_is_what_the_oracle_says_at_length() -> None:
    """The same for many more orders of operations; each operation was refused in each way in which it can be."""
    for number in range(200, 206):
        _run(number, settings(QUICK, max_examples=60, stateful_step_count=60))

    assert _differing_from_what_is_expected() == []


def test_what_is_not_asked_for_has_a_reason() -> None:
    """No operation is both refused and never refused; what is not seen is expected nowhere."""
    assert not set(REFUSALS) & set(NEVER_REFUSED)
    assert not set(UNSEEN) & _EXPECTED
    assert {name for name, _ in LOT} >= {"create", "control", "start_job", "fork", "advance", "crash_or_start"}


def _run(number: int, how: settings) -> None:
    run_state_machine_as_test(seed(number)(AccountMachine), settings=how)


def _not_seen_at_all() -> list[str]:
    """Return what of each operation is missing: that it was done, or that it was refused."""
    done = {name for name, outcome in told if outcome == "done"}
    refused = {name for name, outcome in told if outcome != "done"}
    return sorted(
        [f"{name} was never done" for name in {*REFUSALS, *NEVER_REFUSED} - done]
        + [f"{name} was never refused" for name in {*REFUSALS} - refused]
    )


def _differing_from_what_is_expected() -> list[tuple[str, str]]:
    return sorted({*told} ^ _EXPECTED)
