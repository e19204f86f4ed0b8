"""`stepwell version`: which release this is, and which one the server is."""

from collections.abc import Mapping
from typing import Any

from stepwell import __version__
from stepwell.cli.output import Column, Output
from stepwell.cli.where import settle
from stepwell.errors import RequestRefused, ServerUnreachable

_COLUMNS = (
    Column("what", lambda item: item["what"]),
    Column("version", lambda item: item["version"] or "not told"),
    Column("where", lambda item: item["where"] or "-"),
)


def show(where: Mapping[str, Any], out: Output) -> int:
    """Print both; the server's only if there is one, or one is named. Return the exit code.

    Raises ServerUnreachable if one is named and does not answer.
    """
    settled = settle(**where)
    items = [{"what": "client", "version": __version__, "where": None}]
    try:
        version = str(settled.client().whoami()["version"])
        items.append({"what": "server", "version": version, "where": settled.url.value})
    except RequestRefused:
        # It tells only those whom it lets in, and Cloudflare has no releases.
        items.append({"what": "server", "version": None, "where": settled.url.value})
    except ServerUnreachable:
        if settled.url.origin != "default":
            raise
    out.show_all(items, _COLUMNS, "what")
    return 0
