"""How soon a store goes on after a fault, seen from outside, by reading it while its servers write."""

import asyncio
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import apsw

GIVEN_UP_S = 30.0
_LOOK_EVERY_S = 0.03

_ENDED = """
    select coalesce(sum(n), 0)
    from ended_counts
    """
# By an index: in hours there come to be many that have ended.
_LIVE = """
    select count(*)
    from instances
    where workflow in (select row from workflows)
        and status in ('queued', 'running', 'waiting', 'waitingForPause', 'paused', 'rollingBack')
    """
# What somebody holds, and what is due. `n` grows with each record of a turn, and begins at 1 with its claim.
_UNDER_WAY = """
    select row, turn, n, owner
    from instances
    where owner is not null
    union all
    select row, turn, n, owner
    from instances
    where snapshot in (select row from snapshots)
        and due_at <= {now}
        and owner is null
    """


class Reading(Protocol):
    """A store that is read."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""


class File:
    """A file that a server writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        with closing(apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.set_busy_timeout(1_000)
            return list(connection.execute(sql))


class Database:
    """A database that servers share, on a connection that is made again when it was cut."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._connection: Any = None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        try:
            return self._runner.run(self._ask(sql))
        except Exception:  # whatever it says when it was cut; what is wrong with the statement it says again
            self._connection = None
            return self._runner.run(self._ask(sql))

    async def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        import asyncpg

        if self._connection is None:
            self._connection = await asyncpg.connect(self._url)
        return [tuple(row) for row in await self._connection.fetch(sql)]


def live(reading: Reading) -> int:
    """Return how many instances have not ended."""
    ((count,),) = reading.ask(_LIVE)
    return int(count)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came after a fault: how many instances were alive, and after how many seconds it went on.

    `recorded_s`: until a step was recorded again; `claimed_s`: until all was claimed, or went on, that had been due or
    held at its end. None: not within the time that is waited.
    """

    live: int
    recorded_s: float | None
    claimed_s: float | None


@dataclass(frozen=True, slots=True)
class _Place:
    turn: int
    n: int
    owner: int | None


class Watch:
    """Looks at a store from the end of a fault on, which is now; nobody else may read it until `wait` has returned."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._ended_at = time.monotonic()
        # A server's clock is right again by then.
        self._now_ms = round(time.time() * 1000)
        self._before = self._under_way()
        ((self._ended,),) = reading.ask(_ENDED)
        self._live = live(reading)
        self._recovery: Future[Recovery] = Future()
        # A server that was killed is started meanwhile.
        threading.Thread(target=self._run, daemon=True).start()

    def wait(self) -> Recovery:
        """Return when all goes on, or never will."""
        return self._recovery.result()

    def _run(self) -> None:
        try:
            self._recovery.set_result(self._look())
        except BaseException as error:  # whoever waits has to hear of it
            self._recovery.set_exception(error)

    def _look(self) -> Recovery:
        recorded_s = None
        while (passed_s := time.monotonic() - self._ended_at) < GIVEN_UP_S:
            now = self._under_way()
            if recorded_s is None and self._has_recorded(now):
                recorded_s = passed_s
            if recorded_s is not None and not self._left(now):
                return Recovery(self._live, recorded_s, passed_s)
            time.sleep(_LOOK_EVERY_S)
        return Recovery(self._live, recorded_s, None)

    def _under_way(self) -> dict[int, _Place]:
        rows = self._reading.ask(_UNDER_WAY.format(now=self._now_ms))
        return {row: _Place(turn, n, owner) for row, turn, n, owner in rows}

    def _has_recorded(self, now: dict[int, _Place]) -> bool:
        """Tell whether a turn has written more than that it began."""
        if self._reading.ask(_ENDED)[0][0] > self._ended:
            return True
        return any(place.n > 1 and self._is_new(row, place) for row, place in now.items() if place.owner is not None)

    def _left(self, now: dict[int, _Place]) -> int:
        """Return how many stand as they stood, and are nobody's, or of somebody who has done nothing since."""
        alive = {place.owner for row, place in now.items() if self._is_new(row, place)}
        return sum(
            now.get(row) == place and (place.owner is None or place.owner not in alive)
            for row, place in self._before.items()
        )

    def _is_new(self, row: int, place: _Place) -> bool:
        return self._before.get(row) != place
