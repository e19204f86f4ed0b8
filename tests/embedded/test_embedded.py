"""The engine inside an application: its life, its workflows, what it answers over ASGI."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import httpx
import pytest

from stepwell import InstanceFailed, Stepwell
from stepwell.clock import SystemClock
from stepwell.errors import (
    AlreadyStarted,
    InstanceNotFound,
    InvalidInput,
    InvalidSetting,
    NotStarted,
    ScriptError,
    StoreInUse,
)
from stepwell.tokens import Permission, Tokens
from tests import postgres
from tests.crash.processes import own_workers

SOURCE = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("greet")
        def greet():
            return f"for {event['payload']['who']}"

        text = await greet()
        if event["payload"].get("waits"):
            text += (await step.wait_for_event("name", "named", timeout="1 hour"))["payload"]
        if event["payload"].get("fails"):
            raise ValueError("no more of it")
        return text, self.env.FLAVOUR
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a workflow that needs a variable, in the folder that this process is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAVOUR", "plum")
    path = tmp_path / "orders.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(params=["file", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None]) -> str:
    """The URL of a store in which nothing is yet."""
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'orders.db'}"
    require(postgres.REASON, "a store in it", postgres.is_there())
    return postgres.databases.make()


@pytest.fixture
async def stepwell(source: Path) -> AsyncIterator[Stepwell]:
    """An engine that runs on a file."""
    async with Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"]) as stepwell:
        yield stepwell


async def test_instance_is_created_and_its_result_is_waited_for(source: Path, store: str) -> None:
    """An application gets what its workflow returned, from either store; afterwards no process is left."""
    async with Stepwell(source, store=store, env=["FLAVOUR"]) as stepwell:
        order = await stepwell.workflow("order").create(id="1", params={"who": "Ann"})
        assert await order.result("20 seconds") == ["for Ann", "plum"]
        assert stepwell.workflows == ["order"]
        assert own_workers() != set()

    assert own_workers() == set()


async def test_what_waits_goes_on_when_it_is_started_again(source: Path, store: str) -> None:
    """The same object is started a second time, and the instance of the first goes on."""
    stepwell = Stepwell(source, store=store, env=["FLAVOUR"])
    async with stepwell:
        order = await stepwell.workflow("order").create(id="1", params={"who": "Ann", "waits": True})
        with pytest.raises(TimeoutError, match=r'^instance "1" of workflow "order" goes on after 0.2 seconds$'):
            await order.result(200)
    async with stepwell:
        again = await stepwell.workflow("order").get("1")
        waiting = asyncio.ensure_future(again.result("20 seconds"))
        await again.send_event(type="named", payload=" Lee")

        assert await waiting == ["for Ann Lee", "plum"]


async def test_result_says_how_an_instance_failed(stepwell: Stepwell) -> None:
    """An error of its own, with what the workflow raised; one that is terminated says that."""
    failing = await stepwell.workflow("order").create(id="f", params={"who": "Ann", "fails": True})
    with pytest.raises(InstanceFailed) as failed:
        await failing.result("20 seconds")
    assert failed.value.status == "errored"
    assert str(failed.value) == 'The instance "f" of workflow "order" is errored: ValueError: no more of it'

    ended = await stepwell.workflow("order").create(id="t", params={"who": "Ann", "waits": True})
    await ended.terminate()
    with pytest.raises(InstanceFailed, match=r'^The instance "t" of workflow "order" is terminated$'):
        await ended.result("20 seconds")


async def test_what_is_stalled_is_said_in_the_log(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever runs workflows looks now and then whether some do not go on."""
    monkeypatch.setattr("stepwell.stalls.PATIENCE_MS", 0)
    monkeypatch.setattr("stepwell.stalls._LOOK_EVERY_S", 0.05)
    async with Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"]) as stepwell:
        await stepwell.workflow("order").create(id="1", params={"who": "Ann", "waits": True})
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(_forgets_to_wake):  # noqa: ASYNC110 - another process puts it back
                await asyncio.sleep(0.02)
            while "does not go on" not in caplog.text:  # noqa: ASYNC110 - nobody is told of a line in the log
                await asyncio.sleep(0.02)

    assert [message for message in caplog.messages if "go on" in message] == [
        "order/1 of account local does not go on: nobody has it, and nothing will make it due; "
        "`stepwell doctor --fix` makes it due"
    ]


def _forgets_to_wake() -> bool:
    """Let nothing make the instance due that has been put back; tell whether it has been."""
    connection = apsw.Connection("orders.db")
    connection.set_busy_timeout(1_000)
    connection.execute("update instances set due_at = null where owner is null and status = 'waiting'")
    changed = connection.changes() > 0
    connection.close()
    return changed


async def test_result_of_what_is_not_there_is_refused(stepwell: Stepwell) -> None:
    """A time-out that is none and an instance that was deleted are named."""
    order = await stepwell.workflow("order").create(id="1", params={"who": "Ann", "waits": True})
    with pytest.raises(InvalidInput, match=r"`timeout` must be a number of milliseconds or a duration.*'soon'"):
        await order.result("soon")
    waiting = asyncio.ensure_future(order.result("20 seconds"))
    await asyncio.sleep(0)
    await order.delete()

    with pytest.raises(InstanceNotFound):
        await waiting


async def test_nothing_is_asked_of_an_engine_that_does_not_run(source: Path) -> None:
    """Before its start and after its stop the error says how to start it; a second start is refused."""
    stepwell = Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"])
    with pytest.raises(NotStarted, match="start it with `async with stepwell:`"):
        stepwell.workflow("order")
    starts = await asyncio.gather(stepwell.start(), stepwell.start(), return_exceptions=True)
    assert [type(start) for start in starts] == [type(None), AlreadyStarted]
    assert stepwell.workflows == ["order"]
    await stepwell.stop()
    with pytest.raises(NotStarted):
        _ = stepwell.workflows

    await stepwell.stop()


async def test_failed_start_leaves_nothing_open(source: Path) -> None:
    """A variable that is not set, a setting that is none, a file that cannot be loaded is named; nothing stays open."""
    url = "sqlite:///orders.db"
    (source.parent / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InvalidInput, match='environment variable "MISSING", which workflows are to have, is not set'):
        await Stepwell(source, store=url, env=["MISSING"]).start()
    with pytest.raises(InvalidSetting, match="grade"):
        await Stepwell(source, store=url, settings={"grade": "5 seconds"}).start()
    with pytest.raises(ScriptError, match="nothing_of_this_name"):
        await Stepwell(source.parent / "broken.py", store=url).start()
    assert own_workers() == set()

    async with Stepwell(source, store=url, env=["FLAVOUR"], settings={"grace": "1 second"}) as stepwell:
        assert stepwell.engine.settings.grace == 1_000


async def test_start_that_is_cancelled_leaves_nothing_open(source: Path) -> None:
    """At whatever moment: the store can be opened again, and no worker is left."""
    stepwell = Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"], settings={"grace": "0.1 seconds"})
    for delay_s in (0, 0.02, 0.2):
        starting = asyncio.ensure_future(stepwell.start())
        await asyncio.sleep(delay_s)
        starting.cancel()
        await asyncio.wait([starting])
        # It may have been too late to cancel it.
        await stepwell.stop()
        assert own_workers() == set()

    async with stepwell:
        assert stepwell.workflows == ["order"]


async def test_second_engine_on_a_file_is_refused(source: Path, stepwell: Stepwell) -> None:
    """The error names the file, and what serves several processes."""
    with pytest.raises(StoreInUse, match=r"orders\.db"):
        await Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"]).start()

    assert stepwell.workflows == ["order"]


async def test_store_has_a_folder_of_its_own_by_default(source: Path) -> None:
    """Nobody has to make it."""
    async with Stepwell(source, env=["FLAVOUR"]) as stepwell:
        order = await stepwell.workflow("order").create(params={"who": "Ann"})
        await order.result("20 seconds")

    assert (source.parent / ".stepwell" / "stepwell.db").exists()


# ---- ASGI


INSTANCES = "/stepwell/client/v4/accounts/local/workflows/order/instances"


def client_of(stepwell: Stepwell, host: str = "localhost", *, tokens: bool = True) -> httpx.AsyncClient:
    """Return a client of the API, below a path as where it is mounted."""
    app = stepwell.asgi("/stepwell", tokens=tokens)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}")


async def test_asgi_application_needs_a_token(stepwell: Stepwell) -> None:
    """Unless the application says otherwise, as `stepwell serve` does; the token is of the same store."""
    async with client_of(stepwell, "orders.example") as client:
        refused = await client.get(INSTANCES)
        token = await Tokens(stepwell.engine.store, SystemClock()).create("local", [Permission.SCRIPTS_READ])
        admitted = await client.get(INSTANCES, headers={"authorization": f"Bearer {token}"})

    assert refused.status_code == 401
    assert admitted.json()["result"] == []


async def test_asgi_application_without_tokens_answers_to_this_machine_alone(stepwell: Stepwell) -> None:
    """It serves API and dashboard; a name from elsewhere is refused, as a page there may have sent the browser."""
    await stepwell.workflow("order").create(id="1", params={"who": "Ann"})
    async with client_of(stepwell, tokens=False) as client, client_of(stepwell, "evil.example", tokens=False) as evil:
        found = await client.get(INSTANCES)
        page = await client.get("/stepwell/", headers={"accept": "text/html"})
        refused = await evil.get(INSTANCES)

    assert [one["id"] for one in found.json()["result"]] == ["1"]
    assert (page.status_code, "/stepwell/" in page.text) == (200, True)
    assert refused.status_code == 403


async def test_asgi_application_says_when_the_engine_does_not_run(source: Path) -> None:
    """Before the start and behind the stop; between them it answers."""
    stepwell = Stepwell(source, store="sqlite:///orders.db", env=["FLAVOUR"])
    async with client_of(stepwell, tokens=False) as client:
        before = await client.get(INSTANCES)
        async with stepwell:
            between = await client.get(INSTANCES)
        behind = await client.get(INSTANCES)

    assert [answer.status_code for answer in (before, between, behind)] == [503, 200, 503]
    assert "start it with `async with stepwell:`" in before.text
