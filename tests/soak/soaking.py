"""One soak: servers under load, faults one after the other, and then everything is held against the ledgers."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests import postgres
from tests.soak import disk
from tests.soak.calls import Asked, Call, read
from tests.soak.faults import Faults
from tests.soak.figures import Injected, Soaked
from tests.soak.hosts import Host, Site
from tests.soak.judging import judge
from tests.soak.load import Plan
from tests.soak.promises import Broken
from tests.soak.watching import Database, File, Reading, live

ROOT = Path(__file__).parents[2]
CLIENTS = 2
# After the last fault all has to have ended within this.
DRAINED_WITHIN_S = 60.0
# They may have to wait for answers that never come; each then lets go on what it has left waiting.
CLIENTS_END_WITHIN_S = 100.0
_LET_GO_S = 0.1
# Fewer than a parent may have more than at its start when nobody speaks to it: what its libraries keep.
_SPARE_DESCRIPTORS = 12
_SOME_LEFT = """
    select id, status, turn, owner, due_at
    from instances
    where ended_at is null
        and workflow > 0
    order by row
    limit 20
    """


@dataclass(frozen=True, slots=True)
class Options:
    """What a soak is to be: for how long, how many instances a second, and how many wait until its end.

    `only` are the kinds of fault that are wanted; empty: all.
    """

    seconds: float
    seed: int
    rate: float
    waiting: int
    only: Sequence[str] = ()


def soak(folder: Path, options: Options, *, on_postgres: bool) -> Soaked:
    """Disturb servers under load for a while; return what came of it."""
    folder.mkdir()
    with _database(on_postgres) as database:
        site = Site(folder, database, hosts=1 if database is None else 2)
        try:
            return _Soak(site, options).run()
        finally:
            site.end()


@contextmanager
def _database(is_wanted: bool) -> Iterator[postgres.Server | None]:
    if not is_wanted:
        yield None
        return
    server = postgres.Server()
    try:
        # As it has it by itself: what is acknowledged has to survive its death.
        settings = postgres.FAST | {"fsync": "on", "full_page_writes": "on"}
        server.start(settings=settings, environment=disk.environment(server.folder) if disk.can_be_filled() else {})
        yield server
    finally:
        server.remove()


class _Soak:
    def __init__(self, site: Site, options: Options) -> None:
        self._site, self._options = site, options
        database = site.database
        self._reading: Reading = File(site.folder / "store.db") if database is None else Database(database.url)
        self._rng = random.Random(options.seed)
        self._faults = Faults(site, self._reading, self._rng)
        self._soaked = Soaked("SQLite" if database is None else "PostgreSQL, two hosts", options.seed)

    def run(self) -> Soaked:
        """Disturb, let all come to its end, stop, and judge."""
        soaked, began = self._soaked, time.monotonic()
        with _clients(self._site, self._options) as clients:
            self._wait_for_load()
            self._disturb(began + self._options.seconds)
            soaked.seconds, is_over = time.monotonic() - began, time.monotonic()
            self._end(clients)
        self._drain()
        soaked.drained_s = time.monotonic() - is_over
        self._look_at_parents()
        self._stop()
        soaked.away, soaked.without_database = self._faults.away, self._faults.without_database
        found = asyncio.run(judge(self._site, self._reading, self._faults.late))
        soaked.findings.broken += found.broken
        soaked.findings.counts = found.counts
        folder = self._site.folder
        soaked.calls = [call for path in sorted(folder.glob("*.calls")) for call in read(path, Call)]
        soaked.asked = [asked for path in sorted(folder.glob("*.asked")) for asked in read(path, Asked)]
        return soaked

    def _wait_for_load(self) -> None:
        """Wait until those are there that wait to the end: each fault is to meet many that live."""
        until = time.monotonic() + DRAINED_WITHIN_S
        while live(self._reading) < self._options.waiting // CLIENTS * CLIENTS:
            if time.monotonic() > until:
                raise RuntimeError("the clients of the soak do not begin: see their logs")
            time.sleep(0.1)

    def _disturb(self, until: float) -> None:
        """Inject each kind of fault once, if there is time, and then whichever."""
        only = self._options.only
        kinds = [kind for kind in self._faults.kinds() if not only or kind[0] in only]
        if not kinds:
            sys.exit(f"--only: there are {', '.join(name for name, _, _ in self._faults.kinds())}")
        first = self._rng.sample(kinds, len(kinds))
        while time.monotonic() < until and self._all_live():
            weights = [weight for _, weight, _ in kinds]
            kind, _, inject = first.pop() if first else self._rng.choices(kinds, weights)[0]
            began = time.monotonic()
            recovery = inject().wait()
            self._soaked.injected.append(Injected(kind, began, time.monotonic(), recovery))
            self._note(self._soaked.injected[-1])
            if recovery.claimed_s is None:
                text = f"{kind}: a step was recorded after {recovery.recorded_s} s, and not all was claimed"
                self._soaked.findings.broken.append(Broken("everything goes on after a fault", "", text))
                return
            # Now and then the next one comes before anybody has caught his breath.
            time.sleep(self._rng.choice((0, 0.3, 1.0)))

    def _note(self, fault: Injected) -> None:
        """Keep when a fault was, for whoever looks into what it has brought about."""
        with (self._site.folder / "faults").open("a", encoding="utf-8") as file:
            file.write(f"{fault.began:.3f} {fault.ended:.3f} {fault.kind}\n")

    def _all_live(self) -> bool:
        """Tell whether all parents live that nobody has killed."""
        dead = [host for host in self._site.hosts if host.server.process.poll() is not None]
        for host in dead:
            self._soaked.findings.broken.append(Broken("a parent lives", "", host.server.log[-2_000:]))
        return not dead

    def _end(self, clients: list["subprocess.Popen[bytes]"]) -> None:
        """Let clients come to their end."""
        for client in clients:
            client.send_signal(signal.SIGTERM)
        until = time.monotonic() + CLIENTS_END_WITHIN_S + self._options.waiting * _LET_GO_S
        for client in clients:
            try:
                code = client.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                code = None
            if code != 0:
                text = f"it has ended with {code}, see its log; None: it waits and waits"
                self._soaked.findings.broken.append(Broken("a client gets answers", "", text))

    def _drain(self) -> None:
        """Wait until every instance has ended."""
        since = time.monotonic()
        while left := live(self._reading):
            if time.monotonic() - since > DRAINED_WITHIN_S:
                text = f"{left} have not within {DRAINED_WITHIN_S:.0f} s, such as {self._reading.ask(_SOME_LEFT)}"
                self._soaked.findings.broken.append(Broken("every instance ends as it should", "", text))
                return
            time.sleep(0.2)

    def _look_at_parents(self) -> None:
        """See that a parent which survived has given back what it was lent."""
        if not self._all_live():
            return
        for number, host in enumerate(self._site.hosts):
            now = _descriptors(host)
            text = (
                f"Parent {number}: {_memory_mb(host):.0f} MB, {host.descriptors} descriptors at first, {now} at last."
            )
            self._soaked.parents.append(text)
            if now > host.descriptors + _SPARE_DESCRIPTORS:
                self._soaked.findings.broken.append(Broken("no descriptor is lost", "", text))

    def _stop(self) -> None:
        """Stop the servers, as people do, and see that no process is left."""
        for host in self._site.hosts:
            if code := host.server.terminate():
                text = f"the server has ended with {code}: {host.server.log[-2_000:]}"
                self._soaked.findings.broken.append(Broken("a server stops", "", text))
        if left := self._site.processes():
            self._soaked.findings.broken.append(Broken("no process is left", "", str(left)))


@contextmanager
def _clients(site: Site, options: Options) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Start the clients; none is left, whatever fails."""
    clients = []
    for number in range(CLIENTS):
        plan = Plan(
            f"c{number}",
            [host.door.url for host in site.hosts],
            site.token,
            str(site.folder),
            options.seed * CLIENTS + number,
            options.rate / CLIENTS,
            options.waiting // CLIENTS,
        )
        with (site.folder / f"{plan.name}.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.soak.load", msgspec.json.encode(plan).decode()]
            clients.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))
    try:
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.wait()


def _descriptors(host: Host) -> int:
    return len(list(Path(f"/proc/{host.pid}/fd").iterdir()))


def _memory_mb(host: Host) -> float:
    status = Path(f"/proc/{host.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
