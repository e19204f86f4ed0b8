"""Entries and nodes of types that only a newer server knows: they become UnknownEntry, or UnknownNode, as they came."""

from typing import Any

UNKNOWN = "unknown"
ENTRY_TYPES = frozenset({"step", "rollback", "sleep", "waitForEvent", "termination"})
NODE_TYPES = frozenset(
    {
        *("step_do", "step_sleep", "step_sleep_until", "step_wait_for_event", "loop", "parallel", "block", "try"),
        *("if", "switch", "function_call", "function_def", "break"),
    }
)


def lenient(envelope: Any) -> Any:
    """Return a decoded envelope in which each entry or node of an unknown type says so, and has what it was given.

    Nothing else is touched: params and outputs are their author's, whatever members they have.
    """
    result = envelope.get("result") if isinstance(envelope, dict) else None
    if not isinstance(result, dict):
        return envelope
    changed = dict(result)
    if isinstance(result.get("steps"), list):
        changed["steps"] = [_marked(entry, ENTRY_TYPES) for entry in result["steps"]]
    for name in ("graph", "dag"):
        if name in result:
            changed[name] = _graph(result[name])
    return {**envelope, "result": changed}


def _graph(value: Any) -> Any:
    match value:
        case dict():
            return {name: _nodes(member) if name == "nodes" else _graph(member) for name, member in value.items()}
        case list():
            return [_graph(one) for one in value]
        case _:
            return value


def _nodes(value: Any) -> Any:
    return [_marked(_graph(node), NODE_TYPES) for node in value] if isinstance(value, list) else value


def _marked(entry: Any, known: frozenset[str]) -> Any:
    if isinstance(entry, dict) and entry.get("type") not in known:
        return {"type": UNKNOWN, "given": entry}
    return entry
