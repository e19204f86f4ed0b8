"""The text of the files that the nodes of a graph lie in: what a node's lines are lines of."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stepwell.graph.nodes import Graph

# Of all files of a graph together: it is read with the graph.
MOST_BYTES = 256 * 1_024


def with_sources(graph: Graph, files: Mapping[str, str], main: str) -> Graph:
    """Return a graph with the text of its files, as far as they are not too large; `main` is the path of the script."""
    left = MOST_BYTES
    sources: dict[str, str] = {}
    for path in dict.fromkeys((main, *sorted(_paths(msgspec.to_builtins((graph.nodes, graph.functions)))))):
        # An encoding that Python knows may have halves of surrogate pairs, which no store keeps.
        body = files.get(path, "").encode("utf-8", "replace")
        if path in files and len(body) <= left:
            sources[path] = body.decode()
            left -= len(body)
    return msgspec.structs.replace(graph, sources=sources)


def left_out(graph: Graph) -> list[str]:
    """Return the files that nodes lie in and whose text is not there."""
    return sorted(_paths(msgspec.to_builtins((graph.nodes, graph.functions))) - (graph.sources or {}).keys())


def _paths(nodes: Any) -> set[str]:
    return set(_each_path(nodes))


def _each_path(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _each_path(one)
    if not isinstance(value, dict):
        return
    place = value.get("place")
    if isinstance(place, dict) and "file" in place:
        yield place["file"]
    for one in value.values():
        yield from _each_path(one)
