"""The graph of a workflow, read from its source without running it.

What Python does with a value that is not known is not guessed at: what may happen stands in the graph, in the place in
which it is called, and a remark says what could not be followed.
"""

import json
import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from stepwell.graph import lookups, statements
from stepwell.graph.frames import Reading, frame_of
from stepwell.graph.freezing import freeze
from stepwell.graph.functions import read_body
from stepwell.graph.meanings import Arguments, Class, Function, Instance
from stepwell.graph.modules import Modules, TooMuch
from stepwell.graph.nodes import Graph
from stepwell.graph.payload import shape_of_params

_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Found(Struct, frozen=True):
    """A graph, or why there is none."""

    graph: Graph | None
    note: str = ""


def graph_of(files: Mapping[str, str], main: str, class_name: str) -> Graph | None:
    """Return the graph of a workflow's class; None if the source cannot be read.

    `files` are those of the script's folder by path, with `/` between the parts; `main` is the path of the script.
    """
    return read_graph(files, main, class_name).graph


def read_graph(files: Mapping[str, str], main: str, class_name: str) -> Found:
    """Return the graph of a workflow's class as `graph_of` does, or say why there is none."""
    try:
        return _read(files, main, class_name)
    except TooMuch as error:
        return Found(None, str(error))
    except (RecursionError, MemoryError):
        # Python's parser says the one or the other, by its version.
        return Found(None, "the source is nested too deeply to be read")


def classes_of(files: Mapping[str, str], main: str) -> list[str]:
    """Return the names of the workflows that a file defines or imports, as far as its source tells."""
    try:
        reading = Reading(Modules(files, main), statements.read)
        module = reading.modules.at(main)
        if module is None:
            return []
        found = {name: frame_of(reading, module).lookup(name) for name in module.statements}
        return [name for name, one in found.items() if isinstance(one, Class) and lookups.is_workflow(one)]
    except (TooMuch, RecursionError, MemoryError):
        return []


def _read(files: Mapping[str, str], main: str, class_name: str) -> Found:
    reading = Reading(Modules(files, main), statements.read)
    module = reading.modules.at(main)
    if module is None:
        return Found(None, f"{main} is no Python that this interpreter can read")
    kind = frame_of(reading, module).lookup(class_name)
    if not isinstance(kind, Class):
        return Found(None, f"{main} has no class {class_name} in its source")
    run = lookups.attribute(frame_of(reading, module), Instance(kind), "run")
    if not isinstance(run, Function):
        return Found(None, f"the class {class_name} has no `run` in its source")
    nodes, functions = freeze(read_body(run, Arguments([None, reading.step])), reading.helpers.values())
    payload = shape_of_params(kind, run)
    remarks = tuple(reading.remarks)
    graph = Graph(class_name=class_name, nodes=nodes, functions=functions, payload=payload, remarks=remarks)
    return Found(_writable(graph))


def _writable(graph: Graph) -> Graph:
    """Return a graph that can be written: a mark stands for half of a surrogate pair, which a literal may have."""
    try:
        msgspec.json.encode(graph)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(graph), ensure_ascii=False)
        return msgspec.json.decode(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text), type=Graph)
    return graph
