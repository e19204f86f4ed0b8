"""Who was not let in, for whoever reads the server's log: a line for each, and a count when there are too many.

The audit log has what was done. What was refused is told here, as anybody can make as many such requests as he likes.
"""

import logging
import time
from collections.abc import Callable

from starlette.requests import Request

from stepwell.api import request_ids
from stepwell.api.refusals import Refusal
from stepwell.audit import cleaned
from stepwell.facts import fact

# So many in each stretch of time; the rest are counted.
LINES, STRETCH_S = 20, 60.0
_MOST_PATH, _MOST_REASON = 200, 300

_log = logging.getLogger(__name__)


class Denials:
    """Writes down whom the server has refused."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._count = 0

    def note(self, http: Request, address: str, error: Refusal, caller: str) -> None:
        """Write down a request that was refused; `caller` is the name of its token, if that was good."""
        self._begin_anew()
        self._count += 1
        if self._count <= LINES:
            path = cleaned(http.scope["raw_path"].partition(b"?")[0].decode("latin-1"), _MOST_PATH)
            reason = cleaned(str(error), _MOST_REASON)
            whose = f" with the token of {caller}" if caller else ""
            _log.warning(
                "refused %d %s %s from %s%s: %s",
                error.http_status,
                http.method,
                path,
                address or "an unknown address",
                whose,
                reason,
                extra=fact(
                    "request.refused",
                    request=http.scope.get(request_ids.IN_SCOPE),
                    status=error.http_status,
                    method=http.method,
                    path=path,
                    address=address,
                    token=caller,
                ),
            )

    def _begin_anew(self) -> None:
        now = self._now()
        if now - self._began < STRETCH_S:
            return
        if self._count > LINES:
            _log.warning(
                "%d more requests were refused in %d seconds",
                self._count - LINES,
                now - self._began,
                extra=fact("requests.refused", count=self._count - LINES),
            )
        self._began, self._count = now, 0
