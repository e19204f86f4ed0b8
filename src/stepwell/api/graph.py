"""The graph of a version, and what an instance has done of it: all that is known. Stepwell's own routes.

Each gives its graph as a drawing too. Names in it are the author's: opened on its own, it may load and run nothing.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from stepwell import graphs
from stepwell.api import envelope
from stepwell.api.refusals import NoDrawing
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.graph.marks import Mark
from stepwell.graph.nodes import Graph

if TYPE_CHECKING:
    from stepwell.graph.svg import Theme

FORMATS = ("json", "svg")
THEMES = ("auto", "light", "dark")

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


async def get_graph_of_version(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of a version."""
    theme = _theme(request)
    where = request.account, request.workflow, request.path["version_id"].lower()
    if theme is None:
        return envelope.success(await graphs.show_version(engine, *where))
    _, graph, note = await graphs.of_version(engine, *where)
    return await _draw(theme, graph, note)


async def get_graph_of_instance(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the graph of an instance's version, and how each of its nodes stands."""
    theme = _theme(request)
    where = request.account, request.workflow, request.instance
    if theme is None:
        return envelope.success(await graphs.show_instance(engine, *where))
    return await _draw(theme, *await graphs.marked(engine, *where))


def _theme(request: ApiRequest) -> "Theme | None":
    """Return in which colours a drawing is wanted; None: it is wanted as JSON."""
    theme = request.query.choice("theme", THEMES) or "auto"
    # The query allows no other.
    return cast("Theme", theme) if request.query.choice("format", FORMATS) == "svg" else None


async def _draw(theme: "Theme", graph: Graph | None, note: str, marks: Mapping[str, Mark] | None = None) -> Response:
    """Answer with a graph as SVG. Raises NoDrawing where there is no graph."""
    if graph is None:
        raise NoDrawing(note)
    # Imported here: most servers draw nothing, the dashboard asks for the graph.
    from stepwell.graph.svg import svg  # noqa: PLC0415 - see above

    # A large one takes a while; others are to be answered meanwhile.
    drawing = await asyncio.to_thread(svg, graph, marks, theme=theme)
    return Response(drawing, headers=_HEADERS, media_type="image/svg+xml")
