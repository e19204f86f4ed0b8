"""How long instances are kept after their end, on a clock that is moved."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from stepwell import WorkflowEntrypoint
from stepwell.engine import InstanceFilter, NewInstance, WorkflowPut
from stepwell.errors import InstanceNotFound
from stepwell.expiry import Expiry
from stepwell.server_settings import DEFAULT_SETTINGS
from stepwell.store.account_operations import AccountSettings
from stepwell.store.operations import Retention, VersionSettings
from stepwell.testing import ACCOUNT, TestEngine, TestInstance

HOUR = 3_600_000


class Job(WorkflowEntrypoint):
    """Ends as its params say, after an hour."""

    async def run(self, event, step):
        await step.sleep("nap", "1 hour")
        match event["payload"]:
            case "fails":
                raise ValueError("no")
            case "waits":
                await step.wait_for_event("wait", "go", timeout="365 days")
        return "done"


@pytest.fixture
async def engine() -> AsyncIterator[TestEngine]:
    """An engine with the workflow."""
    async with TestEngine.open([Job]) as opened:
        yield opened


async def _create(engine: TestEngine, params: str, own: Retention | None = None) -> TestInstance:
    row = await engine.engine.create(ACCOUNT, "job", NewInstance(None, f'"{params}"', retention=own))
    return engine.instance(Job, row.id)


async def _is_there(instance: TestInstance) -> bool:
    try:
        await instance.view()
    except InstanceNotFound:
        return False
    return True


async def _say(engine: TestEngine, *said: str) -> Retention | None:
    """Let those who are named say each how long: the nearer, the shorter."""
    if "account" in said:
        await engine.engine.change_account_settings(ACCOUNT, AccountSettings(30 * HOUR, 31 * HOUR))
    if "version" in said:
        settings = VersionSettings(success_retention_ms=20 * HOUR, error_retention_ms=21 * HOUR)
        await engine.engine.put_workflow(ACCOUNT, "job", WorkflowPut("tests", "Job", settings))
    return Retention(10 * HOUR, 11 * HOUR) if "instance" in said else None


@pytest.mark.parametrize(("params", "longer"), [("ends", 0), ("fails", 1), ("waits", 1)])
@pytest.mark.parametrize(
    ("said", "hours"),
    [
        pytest.param(("account",), 30, id="account"),
        pytest.param(("account", "version"), 20, id="version"),
        pytest.param(("account", "version", "instance"), 10, id="instance"),
        pytest.param(("account", "instance"), 10, id="instance over account"),
    ],
)
async def test_instance_goes_when_its_retention_is_over(
    engine: TestEngine, said: tuple[str, ...], hours: int, params: str, longer: int
) -> None:
    """The nearest that says how long wins; not a millisecond earlier; and terminated is an error."""
    instance = await _create(engine, params, await _say(engine, *said))
    await engine.advance("1 hour")
    if params == "waits":
        await instance.terminate()

    await engine.advance((hours + longer) * HOUR - 1)
    before = await _is_there(instance)
    await engine.advance(1)

    assert (before, await _is_there(instance)) == (True, False)
    assert (await engine.engine.list(ACCOUNT, "job", InstanceFilter())).rows == []
    assert (await engine.engine.workflow(ACCOUNT, "job")).counts == {}


async def test_server_says_where_nobody_else_does(engine: TestEngine) -> None:
    """What neither instance, workflow nor account says, the settings of the server say."""
    instance = await _create(engine, "ends")
    await engine.advance("1 hour")
    expiry = Expiry(engine.store, engine.clock, replace(DEFAULT_SETTINGS, success_retention=5 * HOUR), pause_s=0)

    next_at = await expiry.look()
    await engine.advance("5 hours")
    before = await _is_there(instance)
    await expiry.look()

    assert next_at == engine.clock.now()
    assert (before, await _is_there(instance)) == (True, False)


async def test_restart_before_the_expiry_takes_it_away(engine: TestEngine) -> None:
    """What runs again is there however long that takes; its next end begins the retention anew."""
    instance = await _create(engine, "ends", Retention(2 * HOUR))
    await engine.advance("2 hours")
    await instance.restart()

    await engine.advance("2 hours")
    again = (await instance.status(), await instance.output())
    await engine.advance(HOUR - 1)
    before = await _is_there(instance)
    await engine.advance(1)

    assert again == ("complete", "done")
    assert (before, await _is_there(instance)) == (True, False)


async def test_restart_on_a_newer_version_takes_that_ones(engine: TestEngine) -> None:
    """The version that it ended with says how long, not the one that it began with."""
    instance = await _create(engine, "ends")
    await engine.advance("1 hour")
    await _say(engine, "version")
    await engine.advance("100 hours")
    kept_by_the_first = await _is_there(instance)
    await instance.restart()

    await engine.advance("20 hours")
    before = await _is_there(instance)
    await engine.advance("1 hour")

    assert kept_by_the_first
    assert (before, await _is_there(instance)) == (True, False)


async def test_id_is_free_again(engine: TestEngine) -> None:
    """After the expiry an instance of the same id can be created, and has nothing of the one before."""
    first = await engine.engine.create(ACCOUNT, "job", NewInstance("a", '"fails"', retention=Retention(None, 1)))
    await engine.advance("2 hours")

    second = await engine.engine.create(ACCOUNT, "job", NewInstance("a", '"ends"'))
    await engine.advance("1 year")

    assert second.row > first.row
    assert await engine.instance(Job, "a").output() == "done"


async def test_what_has_not_ended_stays(engine: TestEngine) -> None:
    """One that waits for a year is there all the time, whatever is said of how long it is kept."""
    instance = await _create(engine, "waits", Retention(1, 1))

    await engine.advance("360 days")

    assert await instance.status() == "waiting"


async def test_test_kit_keeps_what_nobody_says(engine: TestEngine) -> None:
    """A test may look at an instance whenever it wants."""
    instance = await _create(engine, "ends")

    await engine.advance("10 years")

    assert await instance.output() == "done"


async def test_many_go_in_parts(engine: TestEngine) -> None:
    """However many have expired, one look deletes all of them, a few at a time."""
    created: list[Any] = [await _create(engine, "ends", Retention(1)) for _ in range(60)]

    await engine.advance("2 hours")

    assert not any([await _is_there(instance) for instance in created])
