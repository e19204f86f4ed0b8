"""What stores that have the same database open tell each other of what they have written: by NOTIFY.

It is sent off the write path, a few milliseconds' worth at once. Whatever does not arrive, as behind a pooler that
gives each transaction another connection, is found by looking.
"""

import logging
from itertools import islice

import msgspec

from stepwell.store.listeners import Calls, Listeners
from stepwell.store.sql.transaction import Tidings

logger = logging.getLogger(__name__)

# Two stores may lie in two schemas of a database.
CHANNEL = "select 'stepwell_' || hashtext(current_schema())"
SEND = """
    select pg_notify($1, text)
    from unnest($2::text[]) as text
    """
# A notification has less than 8,000 bytes; an id of a workflow has 38 of them, a row's number up to 20.
_AT_ONCE = 100


class Told(msgspec.Struct, array_like=True):
    """What one store tells the others: who it is, what is due, whom (worker, row) it is about, and what has changed."""

    host: int
    due_at: int | None = None
    told: list[tuple[int, int]] = []
    changed: list[int | str] = []


_decode = msgspec.json.Decoder(Told).decode


def texts(host: int, tidings: Tidings) -> list[str]:
    """Return what is to be sent of tidings, as texts of notifications."""
    told, changed = iter(tidings.told), iter(tidings.changed | tidings.went_on)
    parts: list[Told] = []
    while (part := Told(host, None, list(islice(told, _AT_ONCE)), list(islice(changed, _AT_ONCE)))) != Told(host):
        parts.append(part)
    if (due_at := tidings.first_due_at) is not None:
        parts = parts or [Told(host)]
        parts[0].due_at = due_at
    return [_text(part) for part in parts]


def greeting(host: int) -> str:
    """Return what a store sends when it comes: others know of it then, and it knows whether what is sent arrives."""
    return _text(Told(host))


def hear(text: str, host: int, listeners: Listeners) -> int | None:
    """Tell listeners of what another store has told; return which one it was, also where it is this one, or None."""
    try:
        found = _decode(text)
    except msgspec.MsgspecError:
        # Whoever may use the database may say anything there.
        logger.debug("a notification that is none of ours")
        return None
    if found.host == host:
        return host
    calls = Calls()
    listeners.hear(Tidings(found.due_at, found.told, set(found.changed)), calls)
    calls.make()
    return found.host


def _text(part: Told) -> str:
    return msgspec.json.encode(part).decode()
