"""Waiting for the end of an instance.

A Stepwell server is asked to answer when the instance changes (`Prefer: wait`, with the `ETag` of what was seen). One
that does not heed that, as Cloudflare's own API, is asked again and again, ever less often.

Source: www.rfc-editor.org/rfc/rfc7240#section-4.3
"""

from stepwell.errors import InvalidInput
from stepwell.sdk.answers import result_of
from stepwell.sdk.effects import Now, Pause, Program
from stepwell.sdk.errors import NotEnded
from stepwell.sdk.messages import Answer, Request, get
from stepwell.sdk.models import Instance
from stepwell.sdk.retries import Retries, ask
from stepwell.sdk.settings import is_seconds

# A proxy on the way may cut off what is silent for a minute.
LONG_POLL_S = 30
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
_GROWTH = 1.5


def wait_for_end(path: str, timeout_s: float | None, retries: Retries) -> Program[Instance]:
    """Return an instance, without steps, once it has ended. Raises NotEnded when the time is over, and ApiError."""
    if timeout_s is not None and not is_seconds(timeout_s):
        raise InvalidInput("timeout", f"timeout must be a number of seconds, or None, got {timeout_s!r:.100}")
    tag: str | None = None
    pause = FIRST_PAUSE_S
    now: float = yield Now()
    until = None if timeout_s is None else now + timeout_s
    while True:
        left = None if until is None else until - now
        answer = yield from ask(_request(path, tag, left), retries.patient(), until=until)
        instance = result_of(answer, Instance)
        now = yield Now()
        if instance.has_ended:
            return instance
        if until is not None and now >= until:
            raise NotEnded(f"the instance has not ended in {timeout_s:g} s: it is {instance.status}", instance)
        if _has_waited(answer):
            tag, pause = answer.headers.get("etag"), FIRST_PAUSE_S
            continue
        delay = pause * (1.0 - 0.25 * retries.jitter())
        yield Pause(delay if until is None else min(delay, until - now))
        pause = min(pause * _GROWTH, LONGEST_PAUSE_S)
        now = yield Now()


def _request(path: str, tag: str | None, left_s: float | None) -> Request:
    wait_s = LONG_POLL_S if left_s is None else min(LONG_POLL_S, int(left_s))
    query = {"simple": True}
    if wait_s < 1:
        return get(path, query)
    headers = {"prefer": f"wait={wait_s}"} | ({"if-none-match": tag} if tag else {})
    return get(path, query, headers=headers, wait_s=wait_s)


def _has_waited(answer: Answer) -> bool:
    return "preference-applied" in answer.headers
