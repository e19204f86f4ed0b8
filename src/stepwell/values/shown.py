"""Stored text as people see it: ordinary JSON, in which nothing is said of forms and classes."""

from typing import Any

import msgspec

from stepwell.values.unpack import has_forms


def readable(text: str) -> str:
    """Return the JSON text that people see of a stored text; plain JSON comes back as it is.

    A date is its ISO 8601 text, an object its fields, a set an array, and bytes are `[bytes(N)]`, N being their number.
    """
    if not has_forms(text):
        return text
    return msgspec.json.encode(_show(msgspec.json.decode(text))).decode()


def _show(node: Any) -> Any:
    if isinstance(node, list):
        return [_show(item) for item in node]
    if isinstance(node, dict) and next(iter(node), None) == "$":
        return _show_form(node)
    return {key: _show(item) for key, item in node.items()} if isinstance(node, dict) else node


def _show_form(node: dict[str, Any]) -> Any:
    match node["$"]:
        case "bytes" | "bytearray":
            text = node["v"]
            return f"[{node['$']}({len(text) * 3 // 4 - text.count('=')})]"
        case "dict":
            return {_key(key): _show(item) for key, item in node["v"]}
        case "datetime" if "z" in node:
            return f"{node['v']}[{node['z']}]"
        case "timedelta":
            days, seconds, microseconds = node["v"]
            return f"{days * 86400 + seconds + microseconds / 1e6:g} s"
        case "enum":
            return node["v"] if "v" in node else _show(node["n"])
        case _:
            return _show(node["v"])


def _key(key: Any) -> str:
    shown = _show(key)
    return shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
