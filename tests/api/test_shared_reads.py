"""Readings that pages share: `shared_reads.py`, and which requests are answered so."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from stepwell.api import routes
from stepwell.api.shared_reads import Question, SharedReads
from tests.api.histories import Histories

QUESTION = Question("local", True, "/ui/overview", b"", True)
PAGE = {"x-stepwell-page": "1"}


class Source:
    """Something that is read: each reading answers with its number, when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def read(self) -> Response:
        """Read it."""
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return Response(str(number))


async def _asked(reads: SharedReads, *makes: Callable[[], Awaitable[Response]]) -> list[asyncio.Task[Response]]:
    """Ask at once; return when the first reading has begun."""
    tasks = [asyncio.create_task(reads.read(QUESTION, make, 1)) for make in makes]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_who_asks_during_a_reading_shares_the_next_one() -> None:
    """That one has what happened before it was asked for; the one under way need not."""
    reads, source = SharedReads(), Source()
    first = await _asked(reads, source.read)
    others = await _asked(reads, *[source.read] * 50)
    source.gate.set()

    answers = [bytes(answer.body) for answer in await asyncio.gather(*first, *others)]

    assert (answers[0], set(answers[1:]), source.begun) == (b"1", {b"2"}, 2)


async def test_who_asks_later_gets_a_reading_of_his_own() -> None:
    """What was read before somebody asked may be old, however short ago that was."""
    reads, source = SharedReads(), Source()
    source.gate.set()

    answers = [bytes((await reads.read(QUESTION, source.read, 1)).body) for _ in range(3)]

    assert answers == [b"1", b"2", b"3"]


async def test_many_pages_leave_a_pause_between_readings() -> None:
    """So that those who ask one after the other meet; how long it is goes by how many they are."""
    time = asyncio.get_running_loop().time
    reads, moments = SharedReads(), []

    async def slow() -> Response:
        moments.append(time())
        await asyncio.sleep(0.02)
        return Response()

    for _ in range(3):
        await reads.read(QUESTION, slow, pages=100)

    assert moments[2] - moments[0] > 0.2


async def test_other_questions_are_not_waited_for() -> None:
    """Each question has readings of its own; so has each account, and who is no page, and waits for no pause."""
    reads, slow, quick = SharedReads(), Source(), Source()
    quick.gate.set()
    await _asked(reads, slow.read)

    others = ({"account": "other"}, {"query": b"a=1"}, {"is_of_page": False})
    for question in (QUESTION._replace(**other) for other in others):
        await asyncio.wait_for(reads.read(question, quick.read, 1), 5)

    assert (slow.begun, quick.begun) == (1, 3)
    slow.gate.set()


async def test_reading_that_fails_is_left_to_the_next_who_asks() -> None:
    """Whoever made it is told why; nobody else is."""
    reads, source = SharedReads(), Source()

    async def fail() -> Response:
        await source.gate.wait()
        raise LookupError("no such thing")

    tasks = await _asked(reads, fail, source.read, source.read)
    source.gate.set()
    failed, *answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(failed, LookupError)
    assert [bytes(one.body) for one in answers if isinstance(one, Response)] == [b"1", b"1"]


async def test_reading_of_who_goes_is_left_to_the_next_who_asks() -> None:
    """A connection that is cut holds up nobody else, and nothing is remembered when all are answered."""
    reads, source = SharedReads(), Source()
    gone, waits = await _asked(reads, source.read, source.read)

    gone.cancel()
    await asyncio.wait([gone])
    source.gate.set()

    assert bytes((await waits).body) == b"2"
    async with asyncio.timeout(5):
        while reads._questions:  # noqa: ASYNC110 - nobody tells when the pause between readings is over
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "path",
    [
        "workflows/order",
        "workflows/order/instances/a?per_page=1000",
        "stepwell/workflows/order/instances?per_page=50&status=waiting",
        "stepwell/workflows/order/instances/a",
        "stepwell/hosts",
        "http://localhost:8787/ui/overview",
    ],
)
async def test_page_gets_what_everybody_else_does(client: httpx.AsyncClient, histories: Histories, path: str) -> None:
    """To many who ask at once goes the very answer, with a request id for each."""
    await histories.waiting("order", "a")
    alone = await client.get(path)

    answers = await asyncio.gather(*(client.get(path, headers=PAGE) for _ in range(5)))

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, alone.content)}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5


@pytest.mark.parametrize(
    ("method", "path", "headers", "is_shared"),
    [
        pytest.param("GET", "/workflows/order/instances/a", {}, True, id="instance"),
        pytest.param("GET", "/workflows/order/instances/a", PAGE, True, id="instance, by a page"),
        pytest.param("GET", "/workflows/order/instances/a", {"prefer": "wait=5"}, False, id="change of an instance"),
        pytest.param("HEAD", "/workflows/order/instances/a", {}, False, id="head of an instance"),
        pytest.param("DELETE", "/workflows/order/instances/a", {}, False, id="deletion of an instance"),
        pytest.param("GET", "/workflows/order", {}, False, id="workflow"),
        pytest.param("GET", "/workflows/order", PAGE, True, id="workflow, by a page"),
        pytest.param("GET", "/workflows/order/instances/a/step", PAGE, False, id="step, by a page"),
    ],
)
def test_what_is_asked_by_many_is_shared(method: str, path: str, headers: dict[str, str], is_shared: bool) -> None:
    """Whoever looks at an instance may be one of many; else pages alone are. Who waits has an answer of his own."""
    route, _ = routes.find(method, f"/client/v4/accounts/local{path}")
    head = [(name.encode(), value.encode()) for name, value in headers.items()]

    assert routes.is_shared(route, Request({"type": "http", "method": method, "headers": head})) is is_shared


async def test_what_is_not_there_is_refused_to_all_who_ask(client: httpx.AsyncClient, histories: Histories) -> None:
    """Each with the same reason."""
    answers = await asyncio.gather(*(client.get("workflows/none", headers=PAGE) for _ in range(5)))

    assert {(answer.status_code, answer.json()["errors"][0]["code"]) for answer in answers} == {(404, 10200)}


@pytest.mark.parametrize("headers", [pytest.param(PAGE, id="page"), pytest.param({}, id="program")])
async def test_change_is_in_what_is_read_behind_it(
    client: httpx.AsyncClient, histories: Histories, headers: dict[str, str]
) -> None:
    """Also while others read all the time."""
    asked = "workflows/order/instances/a"
    await histories.waiting("order", "a")

    async def read(times: int) -> list[str]:
        return [(await client.get(asked, headers=headers)).json()["result"]["status"] for _ in range(times)]

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(read(10))
        await histories.engine.control.terminate("local", "order", "a")
        assert await read(3) == ["terminated"] * 3
