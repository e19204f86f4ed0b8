"""Power cuts: all that the store does to its files is recorded, and built again as a power cut may leave it.

The store is opened by the product's own functions; only SQLite's way to the system is another one. What does not go
that way is not seen: the lock, which is no data, and copies (backups), which are synced before they have their name.
"""

import hashlib
import random
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from stepwell.core.instance import fold
from stepwell.errors import StepwellError
from stepwell.stalls import state_of
from stepwell.store import codec
from stepwell.store.listeners import Listeners
from stepwell.store.operations import GetInstance
from stepwell.store.sql.store import SqlStore
from stepwell.store.sqlite.connections import read
from stepwell.store.sqlite.file import FileConnection
from tests.crash.disk import Committed, CutOff, Disk, Happening, Image, Made, Removed, Synced, Wrote
from tests.store.files import InlineFile, open_inline

_LOGS = ("-wal", "-journal")
# Few for the scenario: its log is taken into the database again and again.
CHECKPOINT_PAGES = 60
_INSTANCES = """
    select i.account, w.name, i.id
    from instances as i
    join workflows as w on w.row = i.workflow
    """


@dataclass(frozen=True)
class Recording:
    """What happened to the files of a store, in order. `states` are the hashes of what it had after each commit."""

    happenings: Sequence[Happening]

    @property
    def states(self) -> list[bytes]:
        """The hashes of what the database had after each commit."""
        return [what.state for what in self.happenings if isinstance(what, Committed)]


@contextmanager
def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Recorder"]:
    """Record what happens to the store in a folder; what is made of chance is the same each time."""
    chance = random.Random(1)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    monkeypatch.setattr(secrets, "token_hex", lambda size: chance.randbytes(size).hex())
    monkeypatch.setattr("stepwell.store.sqlite.file.CHECKPOINT_PAGES", CHECKPOINT_PAGES)
    recorder = Recorder(folder)
    try:
        yield recorder
    finally:
        recorder.unregister()


class Recorder(apsw.VFS):
    """SQLite's way to the system, which is recorded: all that is opened without naming another one takes it."""

    def __init__(self, folder: Path) -> None:
        self.happenings: list[Happening] = []
        self._folder = folder
        self._open: InlineFile | None = None
        # That of the system, which is the default before this one is.
        self._base = apsw.vfs_names()[0]
        super().__init__("stepwell-recorder", self._base, makedefault=True)

    def open(self) -> SqlStore:
        """Open the store of the folder."""
        store = open_inline(self._folder / "store.db")
        assert isinstance(store._shell, InlineFile)
        self._open = store._shell
        database: Any = store._shell.ledger._database
        for name in ("commit", "shrink"):
            setattr(database, name, self._telling(getattr(database, name), store._shell.writer))
        self._commit(store._shell.writer)
        return store

    def drop(self) -> None:
        """Drop nothing: that is not played here."""

    def close(self) -> None:
        """Close the store, as a server does that is stopped."""
        assert self._open is not None
        self._open.release()

    def recording(self) -> Recording:
        """Return what has happened."""
        return Recording(tuple(self.happenings))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """Open a file."""
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        if path.parent != self._folder:
            return super().xOpen(name, flags)
        is_log = path.name.endswith(_LOGS)
        if not path.exists() or (not is_log and not self.happenings):
            self.happenings.append(Made(path.name, is_log))
        return _RecordedFile(self.happenings, path.name, self._base, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        """Remove a file."""
        super().xDelete(filename, syncdir)
        if Path(filename).parent == self._folder:
            self.happenings.append(Removed(Path(filename).name, bool(syncdir)))

    def _telling(self, work: Callable[[], Any], writer: apsw.Connection) -> Callable[[], Any]:
        def tell() -> Any:
            done = work()
            self._commit(writer)
            return done

        return tell

    def _commit(self, writer: apsw.Connection) -> None:
        self.happenings.append(Committed(_state(writer)))


class _RecordedFile(apsw.VFSFile):
    """A file of the store."""

    def __init__(self, happenings: list[Happening], name: str, base: str, path: Any, flags: list[int]) -> None:
        self._happenings = happenings
        self._name = name
        super().__init__(base, path, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        """Write."""
        super().xWrite(data, offset)
        self._happenings.append(Wrote(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        """Cut off."""
        super().xTruncate(newsize)
        self._happenings.append(CutOff(self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Sync, as far as the recording goes: nobody cuts the power here."""
        self._happenings.append(Synced(self._name))


def _state(connection: apsw.Connection) -> bytes:
    """Return a hash of the whole database, byte for byte, as a reader of it would find it."""
    return hashlib.sha256(connection.serialize("main") or b"").digest()


class Cuts:
    """Builds what power cuts leave of a recording, and says what is wrong with it."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self._recording = recording
        self._folder = folder
        self._latest = {state: n for n, state in enumerate(recording.states)}
        # States that have been looked through: what is the same byte for byte need not be again.
        self._whole: set[bytes] = set()
        self.images = 0

    def wrong(self, seed: int, moments: Sequence[int]) -> list[str]:
        """Cut the power behind so many happenings each; return what is wrong with what is left, by seed and moment."""
        found, disk, answered, done = [], Disk(), -1, 0
        for moment in sorted(moments):
            for what in self._recording.happenings[done:moment]:
                disk.happens(what)
                answered += isinstance(what, Committed)
            done = moment
            # A moment's image does not depend on which others are looked at.
            image = disk.image(random.Random(f"{seed} {moment}"))
            problem = self._problem(image, answered)
            if problem is not None:
                found.append(f"seed {seed}, moment {moment} of {len(self._recording.happenings)}: {problem}")
        return found

    def _problem(self, image: Image, answered: int) -> str | None:
        self.images += 1
        path = self._folder / f"image-{self.images}" / "store.db"
        path.parent.mkdir()
        for name, content in image.items():
            (path.parent / name).write_bytes(content)
        try:
            return self._problem_of(path, answered)
        finally:
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()

    def _problem_of(self, path: Path, answered: int) -> str | None:
        try:
            state = None
            if path.exists():
                with closing(FileConnection(str(path))) as connection:
                    # Read and closed: the log is as it was.
                    connection.execute("pragma wal_autocheckpoint = 0")
                    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                    state = _state(connection)
            shell = InlineFile(path, Listeners())
            try:
                if state not in self._whole:
                    _look_through(shell.writer)
            finally:
                shell.release()
        except (StepwellError, apsw.Error, AssertionError) as error:
            return f"{type(error).__name__}: {error}"
        if state is not None:
            self._whole.add(state)
        return self._lacking(state, answered)

    def _lacking(self, state: bytes | None, answered: int) -> str | None:
        """Return what a state lacks of the commits up to the last that was acknowledged."""
        if answered < 0:
            return None
        if state not in self._latest:
            return f"it is what the database was after no commit, and {answered + 1} were acknowledged"
        if self._latest[state] < answered:
            return f"it has the first {self._latest[state] + 1} commits, and {answered + 1} were acknowledged"
        return None


def _look_through(connection: FileConnection) -> None:
    """Look through a store. Raises AssertionError unless the file is sound, and each row the fold of its history."""
    assert list(connection.execute("pragma integrity_check")) == [("ok",)]
    for named in list(connection.execute(_INSTANCES)):
        found: Any = read(connection, GetInstance(*named))
        assert state_of(found.row) == fold(record for _, record in codec.from_rows(found.records)), named
