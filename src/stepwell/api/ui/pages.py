"""The dashboard's document and its files."""

from starlette.responses import Response

from stepwell.api.refusals import RouteNotFound
from stepwell.api.request import ApiRequest
from stepwell.dashboard import files, shell
from stepwell.engine import Engine

_FOREVER = "public, max-age=31536000, immutable"


async def show_document(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with the document of all pages, or that the browser has it; which page it is, is the program's to find."""
    headers = {**shell.HEADERS, "etag": shell.ETAG}
    if request.http.headers.get("if-none-match") == shell.ETAG:
        return Response(status_code=304, headers=headers)
    return Response(shell.DOCUMENT, headers=headers, media_type="text/html")


def nothing() -> Response:
    """Return the document for an address that no page has."""
    return Response(shell.DOCUMENT, 404, shell.HEADERS, "text/html")


async def show_file(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with a file of the dashboard. Raises RouteNotFound."""
    digest, name = request.path["digest"], request.path["file_path"]
    file = files.FILES.get(name) if digest == files.DIGEST else None
    if file is None:
        raise RouteNotFound("GET", request.http.url.path, "no such file; load the page again")
    headers = {"cache-control": _FOREVER, "vary": "accept-encoding", "x-content-type-options": "nosniff"}
    if "gzip" in request.http.headers.get("accept-encoding", ""):
        return Response(file.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
