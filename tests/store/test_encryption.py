"""A store that is encrypted: what is in it can be read with its keys alone, and only where it was written."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from zlib import crc32

import apsw
import pytest
from msgspec.structs import replace

from stepwell import sealing
from stepwell.clock import VirtualClock
from stepwell.errors import InvalidInput, StoreDamaged, StoreError, StoreUnavailable
from stepwell.sealing import KEY_BYTES, KEYS, KEYS_FILE, Vault, vault_of
from stepwell.store import Store
from stepwell.store.encryption_operations import SEALED_TABLES, Place, Reencrypt
from stepwell.store.note_operations import PROGRESS, ReadLog, ReadNote
from stepwell.store.operations import GetInstance, ReadPayload, RecordRow
from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.sql.records import RECORD_COLUMNS, checksum
from stepwell.store.sql.tables import TABLES
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.connections import _Writing as Writing
from stepwell.store.stream_operations import ReadPiece
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.transfers import export, import_next
from stepwell.workflow import WorkflowEntrypoint
from tests import postgres
from tests.store.copies import copied, tables_of
from tests.store.scenes import creation, register

HAS_POSTGRES = postgres.is_there()
if HAS_POSTGRES:
    from stepwell.store.postgres.store import PostgresSettings, PostgresStore

SECRET = "hidden-treasure"
OLD, NEW = ("2025", b"1" * KEY_BYTES), ("2026", b"2" * KEY_BYTES)
# More than lies in a record.
LARGE = SECRET * 5_000
# What only looks as if it were sealed.
LOOKS_SEALED = "sealed:1:2026:AAAA"
NO_BASE64 = "sealed:1:2026:\N{LATIN SMALL LETTER E WITH ACUTE}"


class Order(WorkflowEntrypoint):
    """All ways in which a payload gets into a store."""

    async def run(self, event, step):
        step.log(f"got {event['payload']}")
        step.log(LOOKS_SEALED)
        step.log(NO_BASE64)
        await step.set_progress(SECRET)
        await step.do("small", lambda: SECRET)
        await step.do("other", lambda: f"other {SECRET}")
        await step.do("large", lambda: LARGE)

        @step.do
        async def pour():
            async def pieces():
                yield SECRET.encode()
                yield b"sealed:1:2026:"

            return pieces()

        await pour()
        try:
            await step.do("bad", _fail, config={"retries": {"limit": 0, "delay": 0}})
        except ValueError as error:
            step.log(str(error))
        if event["payload"] == {"secret": SECRET}:
            return SECRET
        got = await step.wait_for_event("approval", "approved")
        if got["payload"] == "fail":
            raise ValueError(f"it is {SECRET}")
        return [got["payload"], SECRET]


class Parent(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.child("child", self.env.ORDER, {"secret": SECRET})


def _fail() -> None:
    raise ValueError(SECRET)


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None]) -> str:
    """Where there is no store yet."""
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'store.db'}"
    require(postgres.REASON, "an encrypted store in it", HAS_POSTGRES)
    # Its keys stay in it: nobody else has it.
    return postgres.databases.make(postgres.template())


@asynccontextmanager
async def opened(url: str, *keys: tuple[str, bytes]) -> AsyncIterator[Store]:
    """Open a store with these keys, the newest first."""
    vault = Vault(keys) if keys else None
    store: Any
    if url.startswith("postgresql"):
        store = await asyncio.to_thread(PostgresStore.open, url, PostgresSettings(vault=vault))
    else:
        store = await asyncio.to_thread(lambda: SqliteStore.open(url.removeprefix("sqlite:///"), vault=vault))
    try:
        yield store
    finally:
        await store.close()


async def fill(store: Store) -> None:
    """Run instances that end well, that fail, and that are another's."""
    async with TestEngine.open([Order, Parent], store=store, clock=VirtualClock()) as engine:
        for id, said in (("good", SECRET), ("bad", "fail")):
            order = await engine.create(Order, id=id, params={"secret": SECRET, "like": LOOKS_SEALED})
            await _until(engine, "order", id, {"waiting"})
            await order.send_event("approved", said)
            await _until(engine, "order", id, {"complete", "errored"})
        await engine.create(Parent, id="parent", params=SECRET)
        await _until(engine, "parent", "parent", {"complete", "errored"})


async def _until(engine: TestEngine, workflow: str, id: str, statuses: set[str]) -> None:
    """Wait for an instance: the store has threads of its own."""
    while (await engine.store.run(GetInstance(ACCOUNT, workflow, id))).row.status not in statuses:
        await engine.run_until_idle()
        await asyncio.sleep(0.001)


async def told(store: Store) -> dict[str, object]:
    """Return all that a store says of what `fill` has left."""
    found: dict[str, object] = {}
    for workflow, id in (("order", "good"), ("order", "bad"), ("parent", "parent")):
        history = await store.run(GetInstance(ACCOUNT, workflow, id))
        found[id] = [await whole(store, record) for record in history.records]
        log = await store.run(ReadLog(ACCOUNT, workflow, id, 0, 100))
        found[f"{id} says"] = [line.text for line in log.lines]
        progress: str | None = await store.run(ReadNote(history.row.row, PROGRESS))
        found[f"{id} is at"] = progress
    errors = await store.run(SearchInstances(ACCOUNT, None, Wanted(error_text=SECRET), 0, 10))
    found["errors"] = [(one.row.id, one.error) for one in errors.instances]
    return found


async def whole(store: Store, record: RecordRow) -> tuple[object, ...]:
    """Return a record with its value, and what it streams; without numbers that a store gives out."""
    value = record.value
    if record.payload is not None:
        value = await store.run(ReadPayload(record.payload))
    body = json.loads(record.body)
    if "stream" in body:
        body["stream"] = await store.run(ReadPiece(body["stream"]["id"], 1))
    return record.kind, body, value


async def as_it_lies(url: str) -> str:
    """Return all that is in a store that nobody has open, as it lies there."""
    return repr(await asyncio.to_thread(tables_of, url))


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table that nobody has open, as they lie there."""
    columns = next(one.columns for one in TABLES if one.name == table)
    return [dict(zip(columns, row, strict=True)) for row in tables_of(url)[table]]


def put(url: str, table: str, row: Mapping[str, Any], **changed: Any) -> None:
    """Change columns of a row behind Stepwell's back, its checksum with them."""
    new = {**row, **changed}
    if table == "records":
        new["crc"] = checksum(tuple(new[name] for name in RECORD_COLUMNS.split(", ")[:-1]))
    elif "crc" in new:
        body = new["body"]
        new["crc"] = crc32(body.encode() if isinstance(body, str) else body)
    keys = next(one.key for one in TABLES if one.name == table)
    sets = ", ".join(f"{name} = {literal(value, url)}" for name, value in new.items() if name not in keys)
    change(url, f"update {table} set {sets} where " + " and ".join(f"{k} = {literal(row[k], url)}" for k in keys))


def literal(value: Any, url: str) -> str:
    """Return a value as SQL has it."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'" if url.startswith("postgresql") else f"x'{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else str(value)


def change(url: str, sql: str) -> None:
    """Do a statement in a store that nobody has open."""
    if url.startswith("postgresql"):
        postgres.query(url, sql)
        return
    with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(sql)


async def test_payloads_are_read_with_the_keys_alone(url: str, tmp_path: Path) -> None:
    """Whatever an instance is given, gets, says, and ends with: it is nowhere as it was, and comes back as it was."""
    plain = f"sqlite:///{tmp_path / 'plain.db'}"
    async with opened(plain) as store:
        await fill(store)
        expected = await told(store)

    async with opened(url, NEW) as store:
        await fill(store)
        assert await told(store) == expected

    assert SECRET in await as_it_lies(plain)
    assert SECRET not in await as_it_lies(url)
    if url.startswith("sqlite"):
        assert await asyncio.to_thread(lambda: SECRET.encode() not in (tmp_path / "store.db").read_bytes())
    async with opened(url, NEW) as store:
        assert await told(store) == expected


class Lying:
    """What `fill` has left, as it lies in a store that nobody has open."""

    def __init__(self, url: str) -> None:
        self.url = url
        ids = {row["id"]: row["row"] for row in rows(url, "instances")}
        self.good, self.bad = ids["good"], ids["bad"]
        self.records = [row for row in rows(url, "records") if row["instance"] == self.good]
        self.done = [row for row in self.records if row["kind"] == "step_succeeded"]

    def of(self, table: str, instance: int) -> dict[str, Any]:
        """Return the first row of a table that is an instance's."""
        return next(row for row in rows(self.url, table) if row["instance"] == instance)

    def put(self, row: Mapping[str, Any], **changed: Any) -> None:
        """Change a record."""
        put(self.url, "records", row, **changed)

    def move(self, table: str, column: str) -> None:
        """Put what is one instance's in the place of another's."""
        good, bad = self.of(table, self.good), self.of(table, self.bad)
        put(self.url, table, good, **{column: bad[column]})

    def move_piece(self) -> None:
        """Put a piece of one stream into another."""
        first, second, _ = rows(self.url, "pieces")
        put(self.url, "pieces", first, body=second["body"])

    def move_error(self) -> None:
        """Let the error of a step be that of another."""
        (failed,) = (row for row in self.records if row["kind"] == "step_failed")
        self.put(failed, body=failed["body"].replace('"bad"', '"other"'))

    def rename(self) -> None:
        """Let one instance have the id of another."""
        change(self.url, "update instances set id = 'x' where id = 'good'")
        change(self.url, "update instances set id = 'good' where id = 'bad'")
        change(self.url, "update instances set id = 'bad' where id = 'x'")


MOVES: dict[str, Callable[[Lying], None]] = {
    "the value of a step": lambda lying: lying.put(lying.done[0], value=lying.done[1]["value"]),
    "the params of an instance": lambda lying: lying.move("records", "value"),
    "a value, to another step's name": lambda lying: lying.put(
        lying.done[0], body=lying.done[0]["body"].replace("small", "other")
    ),
    "a value, to another moment": lambda lying: lying.put(lying.done[0], at=lying.done[0]["at"] + 1),
    "an error": Lying.move_error,
    "an instance, to another account": lambda lying: change(
        lying.url, "update instances set account = 'other' where id = 'good'"
    ),
    "an instance, to another id": Lying.rename,
    "a large value": lambda lying: lying.move("payloads", "body"),
    "a piece": Lying.move_piece,
    "a note": lambda lying: lying.move("notes", "value"),
    "a bit": lambda lying: lying.put(lying.records[0], value=lying.records[0]["value"][:-8] + "AAAAAAA="),
}


@pytest.mark.parametrize("what", MOVES)
async def test_what_is_put_elsewhere_is_refused(url: str, what: str) -> None:
    """Whoever can write to the database makes nothing another's: not a step's, nor an instance's, nor an account's."""
    async with opened(url, NEW) as store:
        await fill(store)

    await asyncio.to_thread(lambda: MOVES[what](Lying(url)))

    async with opened(url, NEW) as store:
        with pytest.raises(StoreDamaged, match="is not what was sealed"):
            await told(store)


async def test_instance_that_is_made_another_accounts_tells_it_nothing(url: str) -> None:
    """Also a server that has just read it, and knows whose it was, goes by whose it is said to be now."""
    async with opened(url, NEW) as store:
        await fill(store)
        await register(store, account="other")
        await told(store)
        theirs = "select row from workflows where account = 'other'"
        await asyncio.to_thread(change, url, f"update instances set workflow = ({theirs}) where id = 'good'")

        with pytest.raises(StoreDamaged, match="is not what was sealed"):
            await store.run(GetInstance("other", "orders", "good"))
        with pytest.raises(StoreDamaged, match="is not what was sealed"):
            await store.run(ReadLog("other", "orders", "good", 0, 100))
        searched = await store.run(SearchInstances("other", None, Wanted(), 0, 10))

    assert SECRET not in repr(searched)


async def test_each_key_opens_and_the_newest_seals(url: str) -> None:
    """A new key is put before the others; what an older one has sealed is read as before."""
    async with opened(url, OLD) as store:
        await fill(store)
        expected = await told(store)
    async with opened(url, NEW, OLD) as store:
        assert await told(store) == expected
        async with TestEngine.open([Order], store=store, clock=VirtualClock()) as engine:
            await engine.create(Order, id="newer", params=SECRET)

    values = [
        row["value"].split(":")[2] for row in await asyncio.to_thread(rows, url, "records") if row["kind"] == "created"
    ]
    assert values == ["2025"] * 4 + ["2026"]
    async with opened(url, NEW) as store:
        with pytest.raises(
            StoreError, match='the store is encrypted: this is sealed with the key "2025", which is not'
        ):
            await told(store)


async def test_store_is_not_opened_without_its_keys(url: str) -> None:
    """Nobody writes plain payloads to it by mistake, nor with another key that has the name of one of its own."""
    async with opened(url, NEW) as store:
        await fill(store)

    with pytest.raises(StoreError, match='sealed with the key "2026", which is not here'):
        async with opened(url):
            pass
    with pytest.raises(StoreError, match='the key "2026" is not the one of this name that the store was written with'):
        async with opened(url, (NEW[0], OLD[1])):
            pass


async def reencrypted(store: Store) -> tuple[int, int]:
    """Seal all there is anew, as the command does; return how many were, and how many were left."""
    sealed, left = 0, 0
    for table in SEALED_TABLES:
        after = Place()
        while True:
            answer = await store.run(Reencrypt(table, after))
            assert answer is not None
            sealed, left = sealed + answer.sealed, left + answer.left
            if answer.at is None:
                break
            after = answer.at
    return sealed, left


async def test_what_was_plain_or_sealed_by_another_key_is_sealed_by_the_newest(url: str) -> None:
    """All of it, once; then the older key is needed no more."""
    async with opened(url) as store:
        await fill(store)
        expected = await told(store)
    assert SECRET in await as_it_lies(url)

    async with opened(url, OLD) as store:
        first = await reencrypted(store)
        again = await reencrypted(store)
        assert await told(store) == expected
    assert SECRET not in await as_it_lies(url)
    async with opened(url, NEW, OLD) as store:
        second = await reencrypted(store)
    async with opened(url, NEW) as store:
        assert await told(store) == expected
        assert await reencrypted(store) == (0, 0)

    assert first[0] > 30
    assert (first, again) == (second, (0, 0))


async def test_what_cannot_be_opened_is_left_as_it_is(url: str) -> None:
    """A key that is lost, or damage, keeps nobody from sealing the rest."""
    async with opened(url, OLD) as store:
        await fill(store)
        expected = await told(store)
    async with opened(url, NEW) as store:
        sealed, left = await reencrypted(store)
    async with opened(url, NEW, OLD) as store:
        assert await told(store) == expected
        assert (await reencrypted(store))[0] == left

    assert (sealed, left > 30) == (0, True)


async def test_nothing_is_sealed_without_keys(url: str) -> None:
    """There is nothing to do, which is said."""
    async with opened(url) as store:
        assert await store.run(Reencrypt("records", [])) is None


async def test_row_that_was_rolled_back_is_sealed_for_who_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is given out again, to another account: what is known of it by then is of somebody else."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    commit = Writing.commit
    has_failed: list[bool] = []

    def failing(self: Writing) -> None:
        if not has_failed and self.connection.execute("select count(*) from instances").fetchone() == (1,):
            has_failed.append(True)
            raise apsw.FullError("no space")
        commit(self)

    async with opened(url, NEW) as store:
        await register(store)
        await register(store, account="other")
        monkeypatch.setattr(Writing, "commit", failing)
        with pytest.raises(StoreUnavailable):
            await store.run(creation("a"))
        await store.run(replace(creation("b"), account="other"))
    async with opened(url, NEW) as store:
        found = await store.run(GetInstance("other", "orders", "b"))

    assert (has_failed, found.records[0].value) == ([True], creation("b").record.value)


async def test_what_is_imported_is_sealed_however_it_is_written(url: str, tmp_path: Path) -> None:
    """Blanks between the parts of a record, as tools for JSON put them, hide no error."""
    async with opened(f"sqlite:///{tmp_path / 'plain.db'}") as store:
        await fill(store)
        lines = [json.dumps(json.loads(line)).encode() async for line in export(store, ACCOUNT, "order", "bad")]

    async with opened(url, NEW) as store, TestEngine.open([Order, Parent], store=store):
        await import_next(store, ACCOUNT, iter(enumerate(lines, 1)))
        records = (await store.run(GetInstance(ACCOUNT, "order", "bad"))).records

    assert [SECRET in record.body for record in records if record.kind == "failed"] == [True]
    assert SECRET not in await as_it_lies(url)


async def test_copy_is_opened_with_the_same_keys(url: str, tmp_path: Path) -> None:
    """A copy takes payloads along as they are, and needs no keys for it."""
    async with opened(url, NEW) as store:
        await fill(store)
        expected = await told(store)
    copy = f"sqlite:///{tmp_path / 'copy.db'}"

    come = await asyncio.to_thread(copied, url, copy)

    assert come["encryption_keys"] == 1
    async with opened(copy, NEW) as store:
        assert await told(store) == expected


GOOD = base64.b64encode(b"k" * KEY_BYTES).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, "entry 1 has no name"),
        (f"a b:{GOOD}", "entry 1 has no name"),
        (f"{'n' * 65}:{GOOD}", "entry 1 has no name"),
        (f"a:{GOOD},b:{GOOD[:-4]}", 'the key "b" is not 32 bytes in base64'),
        ("a:???", 'the key "a" is not 32 bytes in base64'),
        ("a:\N{LATIN SMALL LETTER E WITH ACUTE}", 'the key "a" is not 32 bytes in base64'),
        (f"a:{GOOD}\na:{GOOD}", 'there are two keys "a"'),
        ("# none", "there are no keys"),
    ],
)
def test_keys_that_are_none_are_named_and_not_shown(text: str, said: str) -> None:
    """Thing and remedy; a key is never repeated, also where something else stands in its place."""
    with pytest.raises(InvalidInput) as raised:
        vault_of({KEYS: text})

    assert said in str(raised.value)
    assert "openssl rand -base64 32" in str(raised.value) or "two keys" in said
    assert GOOD[:20] not in str(raised.value)


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    """One on each line; what begins with # is said to people."""
    path = tmp_path / "keys"
    path.write_text(f"# of this year\n2026:{GOOD}\n\n2025: {GOOD}\n")

    found, none = vault_of({KEYS_FILE: str(path)}), vault_of({KEYS: " "})

    assert (found.names if found else None, none) == (["2026", "2025"], None)
    with pytest.raises(InvalidInput, match=r"STEPWELL_ENCRYPTION_KEYS_FILE: .*missing cannot be read"):
        vault_of({KEYS_FILE: str(tmp_path / "missing")})


@pytest.mark.parametrize("variable", [KEYS, KEYS_FILE])
def test_missing_package_is_named_with_what_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """That is the variable that somebody has set."""
    monkeypatch.setattr(sealing, "find_spec", lambda name: None)
    (tmp_path / "keys").write_text(f"2026:{GOOD}")
    value = f"2026:{GOOD}" if variable == KEYS else str(tmp_path / "keys")

    with pytest.raises(InvalidInput, match=f"^{variable}: encryption needs a package more"):
        vault_of({variable: value})
