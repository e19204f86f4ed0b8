"""The dashboard's document and its files."""

import asyncio

from starlette.responses import Response

from stepwell.api.refusals import RouteNotFound
from stepwell.api.request import ApiRequest
from stepwell.dashboard import files, shell
from stepwell.engine import Engine

_FOREVER = "public, max-age=31536000, immutable"


async def show_document(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with the document of all pages, or that the browser has it; which page it is, is the program's to find."""
    etag = await asyncio.to_thread(shell.etag, request.served.base)
    headers = {**shell.HEADERS, "etag": etag}
    if request.http.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(shell.document(request.served.base), headers=headers, media_type="text/html")


async def nothing(base: str) -> Response:
    """Return the document for an address that no page has."""
    return Response(await asyncio.to_thread(shell.document, base), 404, shell.HEADERS, "text/html")


async def show_file(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with a file of the dashboard. Raises RouteNotFound."""
    digest, name = request.path["digest"], request.path["file_path"]
    file = files.all_files().get(name) if digest == await asyncio.to_thread(files.digest) else None
    if file is None:
        raise RouteNotFound("GET", request.http.url.path, "no such file; load the page again")
    headers = {"cache-control": _FOREVER, "vary": "accept-encoding", "x-content-type-options": "nosniff"}
    if "gzip" in request.http.headers.get("accept-encoding", ""):
        return Response(file.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
