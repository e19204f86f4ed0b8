"""`stepwell reencrypt`: all payloads of a store are sealed with its newest key."""

from stepwell.cli.failures import NOT_FOUND, USAGE, Failure
from stepwell.cli.output import Column, Output, counted
from stepwell.cli.progress import Progress, Stand
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import say
from stepwell.sealing import KEYS
from stepwell.store import Store
from stepwell.store.encryption_operations import SEALED_TABLES, Place, Reencrypt, Reencrypted
from stepwell.store.opening import is_there, shown

_COLUMNS = (
    Column("table", lambda item: str(item["table"])),
    counted("sealed", lambda item: item["sealed"]),
    counted("left", lambda item: item["left"]),
)


def reencrypt(url: str, out: Output) -> int:
    """Seal all payloads with the newest key, and print how many that were; return the exit code. Raises Failure."""

    async def through(store: Store) -> list[Reencrypted]:
        with Progress("seal") as progress:
            return [await _table(store, table, url, progress) for table in SEALED_TABLES]

    if not is_there(url):
        raise Failure(f"there is no store at {shown(url)}", NOT_FOUND, "--store says where it is")
    done = with_store(url, through)
    shown_tables = [
        {"table": table, "sealed": one.sealed, "left": one.left} for table, one in zip(SEALED_TABLES, done, strict=True)
    ]
    out.show_all(shown_tables, _COLUMNS, "table")
    if left := sum(one.left for one in done):
        say(f"{left:,} could not be opened, and are as they were: damaged, or their keys are not here")
        return 1
    say(f"all payloads are sealed with the key {done[0].key}; others are needed no more, but for older backups")
    return 0


async def _table(store: Store, table: str, url: str, progress: Progress) -> Reencrypted:
    """Seal the payloads of a table; return what became of all."""
    sealed, left, after = 0, 0, Place()
    while True:
        answer = await store.run(Reencrypt(table, after))
        if answer is None:
            raise Failure(f"{shown(url)} has no keys to encrypt with", USAGE, f"give them in {KEYS} to its server")
        sealed, left = sealed + answer.sealed, left + answer.left
        progress.tell(Stand(sealed, None, sealed, has_more=True))
        if answer.at is None:
            return Reencrypted(None, sealed, left, answer.key)
        after = answer.at
