"""What a store that is encrypted is asked when its keys change."""

import msgspec

from stepwell.store.operations import Operation

# The tables that have payloads.
SEALED_TABLES = ("records", "payloads", "pieces", "log_lines", "notes", "errors", "webhooks")
# Where a part of a table ends: the key of its last row.
Place = list[int | str]


class Reencrypted(msgspec.Struct, frozen=True, array_like=True):
    """What became of a part of a table, which ends `at` a row; None: there was no more.

    `sealed`: so many payloads of it were sealed anew, with the key of this name. `left`: so many could not be opened,
    and stay as they are.
    """

    at: Place | None
    sealed: int
    left: int
    key: str


class Reencrypt(Operation[Reencrypted | None], frozen=True):
    """Seal with the newest key what lies in the next part of a table, and is not sealed with it yet.

    `after` is where the part before it ended; empty: there was none. None: the store has no keys.
    """

    table: str
    after: Place
