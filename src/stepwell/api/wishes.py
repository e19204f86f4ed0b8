"""What a request may wish for in its headers: to wait for a change, and to be done once.

Clients that wish for nothing notice nothing.

Source: www.rfc-editor.org/rfc/rfc7240#section-4.3 (wait), www.rfc-editor.org/rfc/rfc9110#name-etag
"""

import hashlib
import re

from starlette.datastructures import Headers

from stepwell.api.refusals import invalid
from stepwell.durations import SECOND_MS
from stepwell.limits import IDEMPOTENCY_KEY_LENGTH
from stepwell.store.once import IdempotencyKey
from stepwell.store.operations import InstanceRow
from stepwell.waits import Seen

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"(\d{1,18})(?:-([a-zA-Z]{1,30}))?"', re.ASCII)
_KEY = re.compile(rf"[\x21-\x7e]{{1,{IDEMPOTENCY_KEY_LENGTH}}}", re.ASCII)


def wait_s(headers: Headers, longest_ms: int) -> int | None:
    """Return for how many whole seconds a request wishes to wait, or may at most; None if it does not wait."""
    wishes = headers.getlist("prefer")
    found = _WAIT.search(", ".join(wishes)) if wishes else None
    return min(int(found[1]), longest_ms // SECOND_MS) or None if found else None


def seen(headers: Headers) -> Seen | None:
    """Return the state that a caller has seen, by the tag of an earlier answer; None if he says nothing of it."""
    found = _TAG.fullmatch(headers.get("if-none-match", ""))
    return Seen(int(found[1]), found[2]) if found else None


def tag(row: InstanceRow, *, with_steps: bool) -> str:
    """Return the tag of an instance's state, as an answer shows it."""
    return f'"{row.seq}"' if with_steps else f'"{row.seq}-{row.status}"'


def idempotency_key(headers: Headers, *parts: str | bytes) -> IdempotencyKey | None:
    """Return the key of a request, with a hash of its parts; None if it has none. Raises InvalidInput."""
    given = headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        shown = ", ".join(f'"{key:.300}"' for key in given)
        expected = f"one text of 1 to {IDEMPOTENCY_KEY_LENGTH} printable ASCII characters without spaces"
        raise invalid("Idempotency-Key", f"the header Idempotency-Key must be {expected}, got {shown}")
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return IdempotencyKey(given[0], digest.hexdigest())
