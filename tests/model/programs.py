"""The workflows of the model's account: all do what the program says that their params name."""

from collections.abc import AsyncIterator

from stepwell import Flow, Rate
from stepwell.errors import ChildFailed
from tests.engine.oracle import TRIED_ON, Player
from tests.model.instance import CHILD_PROGRAMS, CHILDREN, CHUNK, CHUNKS, FIRED, PROGRAMS, UNDONE

_ONCE = {"retries": {"limit": 0, "delay": 0}, "timeout": "365 days"}


class Plain(Player):
    """Runs as many instances as there are."""

    async def run(self, event, step):
        self._place = (event["workflowName"], event["instanceId"])
        return await super().run(event, step)

    async def _do(self, instance, name, step):
        move, place = name.split()
        if move in UNDONE:
            config = _ONCE if move == "hire" else TRIED_ON
            await step.do(name, _nothing, rollback=getattr(self, f"_undo_{move}"), rollback_config=config)
            return []
        if move == "pour":
            stream = await step.do(name, _poured, place)
            return [told_of(b"".join([piece async for piece in stream]))]
        if move in CHILDREN:
            return [await self._child(name, step)]
        return await super()._do(instance, name, step)

    async def _child(self, name, step):
        params = {"program": CHILDREN[name.split()[0]], "of": f"{'/'.join(self._place)} {name}"}
        try:
            answer = await step.child(name, self.env.ERRAND, params)
        except ChildFailed as error:
            return error.status
        return answer if isinstance(answer, str) else "complete"

    async def _undo_book(self):
        pass

    async def _undo_lend(self, rollback):
        if rollback.attempt == 1:
            raise ValueError("once")

    async def _undo_hire(self):
        if not self.env.GATES[self._place].is_set():
            raise ValueError("closed")

    def _program(self, params):
        name = params.get("program", FIRED) if isinstance(params, dict) else params
        return {**PROGRAMS, **CHILD_PROGRAMS}[name]

    def _gate(self, instance):
        return self.env.GATES[self._place]

    def _begins(self, instance, name):
        pass


class Narrow(Plain):
    """Runs one instance at a time."""

    flow = Flow(limit=1)


class Keyed(Plain):
    """Runs of each key one instance at a time, and begins two in half an hour."""

    flow = Flow(key="key", limit_per_key=1, rate_per_key=Rate(2, "30 minutes"))


class Paced(Plain):
    """Begins two instances in half an hour."""

    flow = Flow(rate=Rate(2, "30 minutes"))


class Hourly(Plain):
    """Has instances made by a schedule."""

    schedules = "0 */6 * * *"


class Errand(Plain):
    """Is a child of others."""


class Foreign(Plain):
    """Is of another script."""


async def _nothing() -> None:
    pass


async def _poured(place: str) -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield place.encode() * CHUNK


def told_of(poured: bytes) -> str:
    """Return what is told of a stream."""
    assert poured == poured[:1] * len(poured)
    return f"{poured[:1].decode()} times {len(poured)}"
