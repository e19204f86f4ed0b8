"""Whatever is asked of an account: engines on SQLite and PostgreSQL, and a small oracle, agree on what comes of it."""

import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import postgres
from tests.model.doors import ASKED, ELSEWHERE, doors
from tests.model.lot import LOT
from tests.model.machine import AccountMachine, told
from tests.model.sides import IDS

ROOT = Path(__file__).parents[2]
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
        "CreatedTooFast",
    ),
    "create_batch": (_WORKFLOW, "InvalidInstanceId", "QueueFull", "CreatedTooFast", "InvalidInput"),
    "send": (*_INSTANCE, "InvalidInput", "InstanceFinished", "IdempotencyKeyReused"),
    "pause": (*_INSTANCE, "InstanceFinished"),
    "resume": _INSTANCE,
    "terminate": (*_INSTANCE, "InstanceFinished"),
    "undo": (*_INSTANCE, "InstanceFinished"),
    "resume_rollback": (*_INSTANCE, "NoFailedRollback"),
    "restart": (*_INSTANCE, "CreatedTooFast"),
    "restart_from": (*_INSTANCE, "StepNotInHistory", "CreatedTooFast"),
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
    "replace_triggers": ("InvalidInput",),
    "merge_triggers": ("InvalidInput",),
    "create_token": ("InvalidInput",),
    "authenticate": ("NotAuthenticated",),
    "get": _INSTANCE,
    "why": _INSTANCE,
    "step": (*_INSTANCE, "StepNotFound"),
    "get_if_changed": _INSTANCE,
    "log": _INSTANCE,
    "family": _INSTANCE,
    "subscribe": _INSTANCE,
    "workflow": (_WORKFLOW,),
    "versions": (_WORKFLOW,),
    "limits": (_WORKFLOW,),
    "is_terminating": (_WORKFLOW,),
    "schedule": (_WORKFLOW, "ScheduleNotFound"),
    "list": (_WORKFLOW,),
    "search": (_WORKFLOW,),
    "version": (_WORKFLOW, "VersionNotFound"),
}
# What is never refused, and why.
NEVER_REFUSED = {
    "limit_account": "whatever number is given, what runs goes on",
    "retain": "an account that has said nothing has settings, too",
    "revoke": "a token that is none was good for nothing before",
    "list_tokens": "there may be none",
    "schedules": "a workflow that is not there has none",
    "decisions": "it is asked of an instance of which something has just been decided",
    "delete_triggers": "a script that nobody knows has none",
}
# Errors that a docstring names, and that are not seen here.
UNSEEN = {
    ("fork", "InvalidInput"): "no outputs or params are given: tests/engine/test_forks.py has them",
    ("fork", "VersionNotFound"): "as above, of versions",
    ("move", "VersionNotFound"): "the newest is meant; moves to code that is kept need a process: tests/crash/",
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
    # A transaction that this machine kept waiting would be done again, and its row numbers left out.
    monkeypatch.setattr("stepwell.store.postgres.ledger.KEPT_MS", 60_000)
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


def test_every_door_of_the_engine_is_asked_or_has_a_reason() -> None:
    """Each public method of the engine and its parts is asked by the machine, or by a test that calls it."""
    there = set(doors())

    assert there == {*ASKED, *ELSEWHERE}
    assert not set(ASKED) & set(ELSEWHERE)
    assert set(ASKED.values()) <= {*REFUSALS, *NEVER_REFUSED}
    for door, (path, _) in ELSEWHERE.items():
        assert re.search(rf"{door.partition('.')[2]}\b", (ROOT / path).read_text(), re.IGNORECASE), door


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
