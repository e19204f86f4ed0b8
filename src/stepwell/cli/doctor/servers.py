"""A server: whether it answers, takes the token, and is well, as far as it tells."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from stepwell import __version__
from stepwell.cli import times
from stepwell.cli.doctor.finding import Finding, clock, fault, many, ok, warning
from stepwell.cli.failures import Failure, reason_of
from stepwell.cli.where import Where, settle
from stepwell.client import Client
from stepwell.errors import RequestRefused, ServerUnreachable

_NOT_ALLOWED = (401, 403)
# What is due for so long has no worker that could claim it.
_LONG_LAG_MS = 60_000
_DAY_S = 86_400


def look_at_server(where: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield how the server is that commands ask. Where none is named, none need be there."""
    try:
        settled = settle(**where)
    except Failure as failure:
        yield fault("profile", failure.message, failure.hint)
        return
    yield ok("profile", f"{settled.url.value} by {settled.url.origin}, account {settled.account.value}")
    yield from look_at(settled, settled.client())


def look_at(settled: Where, client: Client) -> Iterator[Finding]:
    """Yield how a server is, by a client of it."""
    asked_at = time.time()
    try:
        caller = client.whoami()
    except ServerUnreachable as error:
        yield _unreachable(settled, error)
        return
    except RequestRefused as refusal:
        if refusal.status in _NOT_ALLOWED:
            yield ok("server", f"{settled.url.value} answers")
            yield fault("token", reason_of(refusal), "`stepwell login` keeps another one")
        else:
            yield from _of_others(settled, client)
        return
    yield _release(settled, str(caller["version"]))
    yield clock("server's clock", _off(times.moment_of(caller["now"]), asked_at), "the server's")
    yield _token(caller)
    yield from _hosts(client)


def _unreachable(settled: Where, error: ServerUnreachable) -> Finding:
    if settled.url.origin == "default":
        return ok("server", f"none at {settled.url.value}, and none is named")
    return fault("server", str(error), "`stepwell serve` and `stepwell dev` start one; --url names another")


def _of_others(settled: Where, client: Client) -> Iterator[Finding]:
    """Yield how a server is that has only what is Cloudflare's."""
    try:
        next(client.workflows(), None)
    except RequestRefused as refusal:
        yield ok("server", f"{settled.url.value} answers")
        yield fault("token", reason_of(refusal), "`stepwell login` keeps another one")
    except ServerUnreachable as error:
        yield _unreachable(settled, error)
    else:
        yield ok("server", f"{settled.url.value} answers as Cloudflare's API does, and takes the token")


def _release(settled: Where, version: str) -> Finding:
    if version != __version__:
        return warning(
            "server",
            f"{settled.url.value} is Stepwell {version}, this is {__version__}",
            "upgrade the older one: what the newer one has more is not there",
        )
    return ok("server", f"{settled.url.value} answers, Stepwell {version}")


def _off(theirs: float, asked_at: float) -> float:
    """Return by how many seconds this machine's clock is ahead, at least."""
    ahead, behind = asked_at - theirs, theirs - time.time()
    return ahead if ahead > 0 else -behind if behind > 0 else 0.0


def _token(caller: Mapping[str, Any]) -> Finding:
    token = caller.get("token")
    if not token:
        return ok("token", "the server asks for none")
    named = f"{token['id']}: {', '.join(caller['permissions'])}"
    if token["expires_on"] and times.moment_of(token["expires_on"]) - time.time() < _DAY_S:
        return warning(
            "token", f"{named}; it is good until {token['expires_on']}", "`stepwell token create` makes another"
        )
    return ok("token", named)


def _hosts(client: Client) -> Iterator[Finding]:
    """Yield how the hosts of the server's store are."""
    try:
        found = client.hosts()
    except RequestRefused as refusal:
        yield warning("hosts", reason_of(refusal), "a token that may read sees more")
        return
    lost = [host["name"] or host["id"] for host in found["hosts"] if host["state"] == "lost"]
    blocked = sum(host["blocked_workers"] for host in found["hosts"] if host["state"] == "alive")
    if lost:
        remedy = "what they held is claimed by others; a row is forgotten after a week. `stepwell hosts list` has all"
        yield warning("hosts", f"{many(len(lost), 'host')} lost, such as {lost[0]}", remedy)
    if blocked:
        remedy = "`stepwell instances why` of what they run names the lines of code that block"
        yield warning("workers", f"{blocked} hang in code that blocks their event loop", remedy)
    lag = found["waiting"]["lag_ms"]
    if lag > _LONG_LAG_MS:
        remedy = "start more workers, or see by `stepwell instances why` whether their code has none"
        yield warning("workers", f"what is due first has waited for {times.span_of(lag / 1000)}", remedy)
    if not lost and not blocked and lag <= _LONG_LAG_MS:
        workers = sum(host["workers"] for host in found["hosts"])
        yield ok("hosts", f"{many(len(found['hosts']), 'host')} with {many(workers, 'worker')}")
