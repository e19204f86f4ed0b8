"""The reference: the OpenAPI document, a page that lists its operations, and a page for each of them.

What makes them is loaded when one is asked for, which most servers never are.
"""

import re

from starlette.responses import Response

from stepwell.api.refusals import RouteNotFound
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine

# What a Host header may be to become part of an example.
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}", re.ASCII)
_SOME_HOST = "localhost:8787"
_JSON_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def show_document(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the OpenAPI document; its server is the one that was asked."""
    from stepwell.api import openapi  # noqa: PLC0415 - see above

    return Response(
        openapi.document(engine.settings, request.served.base), headers=_JSON_HEADERS, media_type="application/json"
    )


async def list_operations(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the page that lists all operations."""
    from stepwell.api import openapi  # noqa: PLC0415 - see above
    from stepwell.api.reference import pages  # noqa: PLC0415 - see above

    return _page(pages.overview(openapi.build(engine.settings)), request)


async def show_operation(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the page of one operation. Raises RouteNotFound."""
    from stepwell.api import openapi  # noqa: PLC0415 - see above
    from stepwell.api.reference import pages  # noqa: PLC0415 - see above

    id = request.path["operation_id"]
    html = pages.operation(openapi.build(engine.settings), id, _server(request))
    if html is None:
        raise RouteNotFound("GET", f"/docs/{id}", "no operation is called that; /docs lists them all")
    return _page(html, request)


def _page(html: str, request: ApiRequest) -> Response:
    """Answer with a page, whose links are written as if it were at the root."""
    from stepwell.api.reference.shell import HEADERS  # noqa: PLC0415 - see above

    below = html.replace('href="/', f'href="{request.served.base}/')
    return Response(below, headers=HEADERS, media_type="text/html")


def _server(request: ApiRequest) -> str:
    """Return how the server was reached, as examples show it."""
    host = request.http.headers.get("host", "")
    shown = host if _HOST.fullmatch(host) else _SOME_HOST
    return f"{request.http.scope.get('scheme', 'http')}://{shown}{request.served.base}"
