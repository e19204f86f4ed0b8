"""What the soak does to servers and their store: each fault begins, lasts for a while, and is over.

From that moment on it is watched how all goes on. What kills a server is over at once, so its start counts.
"""

import random
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests import postgres
from tests.soak import disk
from tests.soak.hosts import LEASE_S, STUCK_S, Host, Site
from tests.soak.watching import Reading, Watch

CUT = """
    select count(pg_terminate_backend(pid))
    from pg_stat_activity
    where datname = current_database()
        and pid <> pg_backend_pid()
    """
# A write behind it fails. It leaves no room for more than the beginning of a file.
_FULL_BYTES = 4_096
# Far ahead is not among them: what goes to sleep then sleeps as long.
_CLOCK_S = (-3_600.0, -8.0, -3.0, -1.0, 1.0, 3.0, 8.0)


# How late a process may begin what it had decided on, or been given, before.
_LATE_S = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """A while, in seconds of the clock that no one sets. `of`: of which host, or process; None: of all."""

    began: float
    ended: float
    of: int | None = None


@dataclass
class Faults:
    """All that can be done to a site; it writes down what was done, and when."""

    site: Site
    reading: Reading
    rng: random.Random
    # When a host had no parent that ran, and when there was no database.
    away: list[Span] = field(default_factory=list)
    without_database: list[Span] = field(default_factory=list)
    # When workers were paused, or their parents, or claims had no answer: they may begin late what others have done.
    late: list[Span] = field(default_factory=list)

    def kinds(self) -> list[tuple[str, float, Callable[[], Watch]]]:
        """Return what there is to be done at this site: its name, how often in relation to others, and what does it."""
        common = [
            ("worker killed", 3.0, self._kill_workers),
            ("parent killed", 2.0, self._kill_parent),
            ("parent and workers killed", 1.5, self._kill_all),
            ("parent killed, a worker paused", 1.0, self._kill_parent_of_paused),
            ("server stopped and started", 1.0, self._restart),
            ("worker paused", 2.0, self._pause_worker),
            ("parent paused", 1.5, self._pause_parent),
            ("connections cut", 2.0, self._cut_clients),
            ("clock set", 2.0, self._set_clock),
        ]
        if self.site.database is None:
            full = [("disk full", 2.0, self._fill_disk), ("parent killed, the disk full", 0.5, self._kill_on_full_disk)]
            return [*common, *full]
        full = [("database's disk full", 2.0, self._fill_disk_of_database)] if disk.can_be_filled() else []
        return [
            *common,
            *full,
            ("all hosts killed", 0.5, self._kill_everybody),
            ("database killed", 1.5, self._kill_database),
            ("database cut off", 2.0, self._cut_database),
        ]

    @property
    def _host(self) -> Host:
        return self.rng.choice(self.site.hosts)

    def _kill_workers(self) -> Watch:
        host = self._host
        workers = host.workers()
        count = self.rng.choice((1, len(workers)))
        host.signal(signal.SIGKILL, self.rng.sample(workers, min(count, len(workers))))
        return Watch(self.reading)

    def _kill_parent(self) -> Watch:
        host = self._host
        began = time.monotonic()
        host.server.kill()
        return self._started(host, began)

    def _kill_all(self) -> Watch:
        host = self._host
        began = time.monotonic()
        host.signal(signal.SIGKILL, [*host.workers(), host.pid])
        host.server.kill()
        return self._started(host, began)

    def _kill_parent_of_paused(self) -> Watch:
        """Kill a parent one of whose workers does not see it for a while."""
        host, began = self._host, time.monotonic()
        paused = host.workers()[:1]
        host.signal(signal.SIGSTOP, paused)
        host.server.process.kill()
        time.sleep(self.rng.choice((0, LEASE_S * 1.5)))
        host.signal(signal.SIGCONT, paused)
        host.server.kill()
        self.late += [Span(began, time.monotonic(), worker) for worker in paused]
        return self._started(host, began)

    def _kill_everybody(self) -> Watch:
        began = time.monotonic()
        for host in self.site.hosts:
            host.signal(signal.SIGKILL, [*host.workers(), host.pid])
            host.server.kill()
        watch = Watch(self.reading)
        for number, host in enumerate(self.site.hosts):
            host.start()
            self.away.append(Span(began, time.monotonic(), number))
        return watch

    def _restart(self) -> Watch:
        host = self._host
        began = time.monotonic()
        host.server.terminate()
        return self._started(host, began)

    def _started(self, host: Host, began: float) -> Watch:
        watch = Watch(self.reading)
        host.start()
        self.away.append(Span(began, time.monotonic(), self.site.hosts.index(host)))
        return watch

    def _pause_worker(self) -> Watch:
        host = self._host
        workers = host.workers()
        pids = self.rng.sample(workers, min(len(workers), 1))
        # Longer than others wait; sometimes longer than its parent does.
        seconds = self.rng.choice((LEASE_S * 0.7, LEASE_S * 1.5, STUCK_S + 1.5))
        self._pause(host, pids, pids, seconds)
        return Watch(self.reading)

    def _pause_parent(self) -> Watch:
        host, began = self._host, time.monotonic()
        workers = host.workers()
        # With its workers or without them.
        pids = [host.pid, *(workers if self.rng.random() < 0.5 else ())]
        self._pause(host, pids, workers, LEASE_S * self.rng.uniform(0.3, 2))
        self.away.append(Span(began, time.monotonic(), self.site.hosts.index(host)))
        return Watch(self.reading)

    def _pause(self, host: Host, pids: list[int], workers: list[int], seconds: float) -> None:
        """Pause processes, which has these workers do late what they do."""
        began = time.monotonic()
        host.signal(signal.SIGSTOP, pids)
        time.sleep(seconds)
        host.signal(signal.SIGCONT, pids)
        self.late += [Span(began, time.monotonic() + _LATE_S, worker) for worker in workers]

    def _cut_clients(self) -> Watch:
        for _ in range(self.rng.randint(1, 8)):
            self._host.door.cut()
            time.sleep(self.rng.uniform(0, 0.2))
        return Watch(self.reading)

    def _set_clock(self) -> Watch:
        """Set a host's clock, once or several times, and then right."""
        host = self._host
        for _ in range(self.rng.randint(1, 3)):
            host.set_clock(self.rng.choice(_CLOCK_S))
            time.sleep(self.rng.uniform(0.2, 1))
        host.set_clock(0)
        return Watch(self.reading)

    def _fill_disk(self) -> Watch:
        """Let the parent write no more than the beginning of a file, as on a disk without space, and then again."""
        host = self._host
        unlimited = _allow_bytes(host.pid, _FULL_BYTES)
        time.sleep(self.rng.uniform(0.3, 2.5))
        # A worker that was started meanwhile has it from its parent.
        for pid in (host.pid, *host.workers()):
            with suppress(ProcessLookupError):
                _allow_bytes(pid, unlimited)
        return Watch(self.reading)

    def _kill_on_full_disk(self) -> Watch:
        """Kill a parent that has begun to fail; the next one has space."""
        host, began = self._host, time.monotonic()
        _allow_bytes(host.pid, _FULL_BYTES)
        time.sleep(self.rng.uniform(0.1, 1))
        host.server.kill()
        return self._started(host, began)

    def _kill_database(self) -> Watch:
        assert self.site.database is not None
        began = time.monotonic()
        self.site.database.crash()
        # At once, or when leases are over.
        time.sleep(self.rng.choice((0, 0.5, LEASE_S * 1.5)))
        self.site.database.start()
        self.without_database.append(Span(began, time.monotonic()))
        self.late.append(Span(began, time.monotonic() + _LATE_S))
        return Watch(self.reading)

    def _fill_disk_of_database(self) -> Watch:
        """Let there be no space for anything new; a server that has given up over it is started again."""
        assert self.site.database is not None
        database, began = self.site.database, time.monotonic()
        disk.fill(database.folder)
        time.sleep(self.rng.uniform(0.3, 2.5))
        disk.free(database.folder)
        if not database.is_running:
            database.start()
            self.without_database.append(Span(began, time.monotonic()))
        self.late.append(Span(began, time.monotonic() + _LATE_S))
        return Watch(self.reading)

    def _cut_database(self) -> Watch:
        assert self.site.database is not None
        began = time.monotonic()
        for _ in range(self.rng.randint(1, 5)):
            postgres.query(self.site.database.url, CUT)
            time.sleep(0.05)
        self.late.append(Span(began, time.monotonic() + _LATE_S))
        return Watch(self.reading)


def _allow_bytes(pid: int, size: int) -> int:
    """Let a process write no file beyond a size; return what it was allowed before."""
    before, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    return before
