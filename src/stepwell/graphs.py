"""The graph of a version, and what an instance has done of it, as the API shows them. Stepwell's own."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stepwell.core.steplog import CalledEntry, InstanceLog, SleepEntry, StepEntry, WaitEntry
from stepwell.engine import Engine, InstanceView
from stepwell.facts import fact
from stepwell.graph.marks import Mark
from stepwell.graph.nodes import AnyNode, FunctionDef, Graph, Shape
from stepwell.graph.overlay import EntryStatus, EntryType, LogEntry, NodeState, Overlay, lay_over
from stepwell.store.workflow_operations import GetGraph, VersionGraph, VersionRow

logger = logging.getLogger(__name__)

_to_graph = msgspec.json.Decoder(Graph).decode

NOT_READ = "the code of this version was not read: it was loaded by an earlier Stepwell, or by a test kit"


class VersionGraphShown(msgspec.Struct):
    """The graph of a version's code as Cloudflare has it, and what our own views show beside it."""

    version_id: str
    class_name: str
    nodes: Any
    functions: Any
    payload: Any
    remarks: list[str]
    note: str


class EntryShown(msgspec.Struct):
    """An entry of an instance's log, and how it stands."""

    name: str
    type: EntryType
    status: EntryStatus


class NodeStateShown(msgspec.Struct):
    """How a node of a graph stands in an instance."""

    status: str
    runs: int
    failed: int
    entries: list[EntryShown]
    rollback: str | None


class InstanceGraphShown(VersionGraphShown):
    """The graph of an instance's version, and what the instance has done of it."""

    status: str
    states: dict[str, NodeStateShown]
    others: list[EntryShown]


async def of_version(engine: Engine, account: str, workflow: str, id: str) -> tuple[VersionRow, Graph | None, str]:
    """Return a version with its graph, or with a note why there is none.

    Raises WorkflowNotFound or VersionNotFound.
    """
    found = await engine.store.run(GetGraph(account, workflow, id))
    return found.version, *_read(found)


async def show_version(engine: Engine, account: str, workflow: str, id: str) -> VersionGraphShown:
    """Show the graph of a version. Raises WorkflowNotFound or VersionNotFound."""
    row, graph, note = await of_version(engine, account, workflow, id)
    return VersionGraphShown(row.id, row.class_name, *_parts(graph), note)


async def show_instance(engine: Engine, account: str, workflow: str, id: str) -> InstanceGraphShown:
    """Show the graph of an instance's version, and what it has done of it.

    Raises WorkflowNotFound or InstanceNotFound.
    """
    view = await engine.get(account, workflow, id)
    row, graph, note = await of_version(engine, account, workflow, view.row.version)
    # A long log, or a graph of many patterns, takes a while; others are to be answered meanwhile.
    laid = await asyncio.to_thread(_lay_over, graph, view)
    return InstanceGraphShown(
        row.id,
        row.class_name,
        *_parts(graph),
        note,
        view.row.status,
        {key: _state(state) for key, state in laid.states.items()},
        [_entry(entry) for entry in laid.others],
    )


async def marked(engine: Engine, account: str, workflow: str, id: str) -> tuple[Graph | None, str, Mapping[str, Mark]]:
    """Return the graph of an instance's version, or a note why there is none, and how its nodes stand.

    Raises WorkflowNotFound or InstanceNotFound.
    """
    view = await engine.get(account, workflow, id)
    _, graph, note = await of_version(engine, account, workflow, view.row.version)
    laid = await asyncio.to_thread(_lay_over, graph, view)
    marks = {key: Mark(state.status, state.runs, state.failed, state.rollback) for key, state in laid.states.items()}
    return graph, note, marks


def _read(found: VersionGraph) -> tuple[Graph | None, str]:
    if found.graph is None:
        return None, NOT_READ
    if found.graph.body is None:
        return None, found.graph.note
    try:
        return _to_graph(found.graph.body), ""
    except msgspec.MsgspecError:
        # One that another release has written; this one reads the code anew when it loads it.
        logger.info(
            "the graph of version %s is of another form",
            found.version.id,
            extra=fact("graph.outdated", version=found.version.id),
        )
        return None, NOT_READ


def _parts(
    graph: Graph | None,
) -> tuple[Sequence[AnyNode] | None, dict[str, FunctionDef], Shape | None, list[str]]:
    return (None, {}, None, []) if graph is None else (graph.nodes, graph.functions, graph.payload, [*graph.remarks])


def _lay_over(graph: Graph | None, view: InstanceView) -> Overlay:
    entries = [LogEntry(entry.name, entry.type, _status(entry, view.log)) for entry in view.log.called]
    return Overlay({}, entries) if graph is None else lay_over(graph, entries)


def _status(entry: CalledEntry, log: InstanceLog) -> EntryStatus:
    """Return how an entry stands; nothing is in flight in an instance that has ended."""
    over = log.state.ended_at is not None
    match entry:
        case StepEntry(end=None, attempts=attempts):
            if over:
                return "errored"
            return "running" if not attempts or attempts[-1].end is None else "waiting"
        case StepEntry(success=success):
            return "complete" if success else "errored"
        case SleepEntry(finished=False) | WaitEntry(finished=False):
            return "errored" if over else "waiting"
        case SleepEntry(error=error) | WaitEntry(error=error):
            return "complete" if error is None else "errored"


def _state(state: NodeState) -> NodeStateShown:
    entries = [_entry(entry) for entry in state.entries]
    return NodeStateShown(state.status, state.runs, state.failed, entries, state.rollback)


def _entry(entry: LogEntry) -> EntryShown:
    return EntryShown(entry.name, entry.type, entry.status)
