"""One client of the soak, a process of its own: `python -m tests.soak.load PLAN`, until SIGTERM.

It does to instances whatever the API allows, several of them at a time, and writes down what became of each call before
the next one about that instance. What is not acknowledged is asked for again, as people would, where that is allowed.
"""

import asyncio
import itertools
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from stepwell.sdk.aclient import AsyncClient
from stepwell.sdk.errors import AlreadyExists, ApiError, Conflict, InvalidRequest, NotFound, Unreachable
from tests.soak.calls import ACKNOWLEDGED, REFUSED, UNKNOWN, Asked, Call, Ledger

TIMEOUT_S = 10.0
# Of one call; then it is asked for again, at another host.
RETRIES = 3
_AGAIN_S = 0.2
_BATCH = 25
# How long after the end of all trouble a client goes on to insist.
_PATIENCE_S = 30.0


class Plan(msgspec.Struct, frozen=True):
    """What a client is to do: where, as whom, how many instances a second, and how many to leave waiting."""

    name: str
    urls: list[str]
    token: str
    folder: str
    seed: int
    rate: float
    waiting: int
    tasks: int = 12


class _Timed(httpx2.AsyncHTTPTransport):
    """Writes down how long each request takes, but for those that are to wait."""

    def __init__(self, host: int, ledger: Ledger) -> None:
        super().__init__()
        self._host, self._ledger = host, ledger

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        began, status = time.monotonic(), 0
        try:
            response = await super().handle_async_request(request)
            status = response.status_code
            return response
        finally:
            if "prefer" not in request.headers:
                self._ledger.add(Asked(self._host, began, time.monotonic(), status))


class Load:
    """A client at work."""

    def __init__(self, plan: Plan) -> None:
        folder = Path(plan.folder)
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._calls = Ledger(folder / f"{plan.name}.calls")
        asked = Ledger(folder / f"{plan.name}.asked")
        self._clients = [_client(plan, host, asked) for host in range(len(plan.urls))]
        self._numbers = itertools.count(1)
        self._is_over = asyncio.Event()
        self._until = float("inf")
        self._known: list[tuple[str, str]] = []
        self._acts: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (6, self._run_sequence),
            (2, self._run_parallel),
            (2, self._run_family),
            (3, self._send_event),
            (2, self._pause_and_resume),
            (2, self._terminate),
            (2, self._restart),
            (2, self._delete),
            (0.3, self._create_many),
            (3, self._read),
            (1, self._list),
        ]

    async def run(self) -> None:
        """Work until the end is asked for; then let all that waits go on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        waiting = [f"{self._plan.name}-kept-{number}" for number in range(self._plan.waiting)]
        for first in range(0, len(waiting), _BATCH):
            await self._create_batch("waiting", waiting[first : first + _BATCH], {})
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._plan.tasks):
                tasks.create_task(self._work())
        # Not all at once: how long requests take is measured.
        turns = asyncio.Semaphore(2)

        async def let_go(id: str) -> None:
            async with turns:
                await self._go("waiting", id)

        await asyncio.gather(*map(let_go, waiting))

    def _end(self) -> None:
        self._until = time.monotonic() + _PATIENCE_S
        self._is_over.set()

    async def _work(self) -> None:
        weights = [weight for weight, _ in self._acts]
        while not self._is_over.is_set():
            (_, act) = self._rng.choices(self._acts, weights)[0]
            await act()
            await self._pause(self._rng.expovariate(self._plan.rate / self._plan.tasks))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        except TimeoutError:
            pass

    # ---- what is done to an instance

    async def _run_sequence(self) -> None:
        await self._create("sequence", self._sequence(breaks=self._rng.random() < 0.15))

    async def _run_parallel(self) -> None:
        await self._create("parallel", {})

    async def _run_family(self) -> None:
        await self._create("family", {})

    async def _send_event(self) -> None:
        id = await self._create("waiting", {})
        await self._pause(self._rng.choice((0, 0.1, 1.5)))
        await self._go("waiting", id)

    async def _pause_and_resume(self) -> None:
        id = await self._create("sequence", self._sequence())
        await self._pause(self._rng.choice((0, 0.05, 0.5)))
        if await self._insist("pause", "sequence", id, lambda to: to.workflows.instances.pause("sequence", id)):
            await self._pause(self._rng.choice((0.1, 1)))
            await self._insist("resume", "sequence", id, lambda to: to.workflows.instances.resume("sequence", id))

    async def _terminate(self) -> None:
        id = await self._create("waiting", {})
        await self._pause(self._rng.choice((0, 0.1, 1.5)))
        await self._insist("terminate", "waiting", id, lambda to: to.workflows.instances.terminate("waiting", id))

    async def _restart(self) -> None:
        id = await self._create("sequence", self._sequence())
        if self._rng.random() < 0.7:
            with suppress(ApiError):
                await self._any.workflows.instances.wait("sequence", id, timeout=5, simple=True)
        step = self._rng.choice((None, "two"))
        await self._once(
            "restart", "sequence", id, lambda to: to.workflows.instances.restart("sequence", id, from_step=step), step
        )

    async def _delete(self) -> None:
        workflow, params = self._rng.choice((("waiting", {}), ("sequence", self._sequence()), ("family", {})))
        id = await self._create(workflow, params)
        await self._pause(self._rng.choice((0, 0.1, 1)))
        await self._insist("delete", workflow, id, lambda to: to.workflows.instances.delete(workflow, id))

    async def _create_many(self) -> None:
        await self._create_batch("sequence", [self._id() for _ in range(_BATCH)], self._sequence())

    async def _read(self) -> None:
        """Look at an instance whose creation was acknowledged; it has to be there."""
        if not self._known:
            return
        workflow, id = self._rng.choice(self._known)
        await self._once("get", workflow, id, lambda to: to.workflows.instances.get(workflow, id))

    async def _list(self) -> None:
        async def first_page(client: AsyncClient) -> None:
            listed = client.workflows.instances.list("sequence", per_page=50)
            async for number in _numbered(listed):
                if number == 50:
                    break

        await self._once("list", "sequence", "", first_page)

    async def _go(self, workflow: str, id: str) -> None:
        payload = {"for": id, "n": next(self._numbers)}
        send = lambda to: to.workflows.instances.send_event(workflow, id, "go", payload)  # noqa: E731  # said at once
        await self._insist("event", workflow, id, send, payload)

    def _sequence(self, *, breaks: bool = False) -> dict[str, Any]:
        nap_ms = self._rng.choice((50, 300, 1_500, 2_500, 5_000))
        return {"fails": self._rng.choice((0, 0, 1, 2)), "nap_ms": nap_ms, "breaks": breaks}

    # ---- calls

    def _id(self) -> str:
        return f"{self._plan.name}-{next(self._numbers)}"

    @property
    def _any(self) -> AsyncClient:
        return self._rng.choice(self._clients)

    async def _create(self, workflow: str, params: dict[str, Any]) -> str:
        id = self._id()
        create = lambda to: to.workflows.instances.create(workflow, instance_id=id, params=params)  # noqa: E731  # said at once
        if await self._insist("create", workflow, id, create, params):
            # Those that are deleted are not looked for.
            self._known.append((workflow, id))
            del self._known[:-500]
        return id

    async def _create_batch(self, workflow: str, ids: list[str], params: dict[str, Any]) -> None:
        new: list[Any] = [{"instance_id": id, "params": params} for id in ids]
        began = time.monotonic()
        # Those that are there already are passed over, so it may be said again as a whole.
        outcome = UNKNOWN
        while outcome != ACKNOWLEDGED and time.monotonic() < self._until:
            try:
                await self._any.workflows.instances.create_batch(workflow, new)
                outcome = ACKNOWLEDGED
            except ApiError:
                await asyncio.sleep(_AGAIN_S)
        for id in ids:
            self._calls.add(Call("create", workflow, id, outcome, began, time.monotonic(), params))

    async def _insist(
        self, act: str, workflow: str, id: str, work: Callable[[AsyncClient], Awaitable[Any]], told: Any = None
    ) -> bool:
        """Ask until there is an answer; tell whether it was done."""
        while True:
            outcome = await self._once(act, workflow, id, work, told)
            if outcome in (ACKNOWLEDGED, REFUSED) or time.monotonic() > self._until:
                return outcome == ACKNOWLEDGED
            await asyncio.sleep(_AGAIN_S)

    async def _once(
        self, act: str, workflow: str, id: str, work: Callable[[AsyncClient], Awaitable[Any]], told: Any = None
    ) -> str:
        """Ask once, and write down what became of it."""
        began = time.monotonic()
        outcome, told = await _outcome(act, work(self._any), told)
        self._calls.add(Call(act, workflow, id, outcome, began, time.monotonic(), told))
        return outcome


async def _outcome(act: str, answer: Awaitable[Any], told: Any) -> tuple[str, Any]:
    """Return what became of a call, and what is to be written beside it."""
    try:
        result = await answer
    except AlreadyExists:
        # Nobody else has this id: an earlier call did it, whose answer was lost.
        return ACKNOWLEDGED, told
    except NotFound as error:
        # The same of a deletion. What was acknowledged and is not there is for the checker.
        return (ACKNOWLEDGED, told) if act == "delete" else (REFUSED, str(error))
    except (Conflict, InvalidRequest) as error:
        return REFUSED, str(error)
    except Unreachable as error:
        return (UNKNOWN if error.is_sent else "unsent"), told
    except ApiError:
        return UNKNOWN, told
    return ACKNOWLEDGED, getattr(result, "status", None) if told is None and act == "pause" else told


async def _numbered(listed: Any) -> Any:
    number = 0
    async for _ in listed:
        number += 1
        yield number


def _client(plan: Plan, host: int, asked: Ledger) -> AsyncClient:
    http = httpx2.AsyncClient(transport=_Timed(host, asked))
    url = plan.urls[host]
    return AsyncClient(url, api_token=plan.token, timeout=TIMEOUT_S, max_retries=RETRIES, http_client=http)


if __name__ == "__main__":
    asyncio.run(Load(msgspec.json.decode(sys.argv[1], type=Plan)).run())
