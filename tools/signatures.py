"""How a function is called, as its source says it."""

import ast
import inspect
import textwrap
from typing import Any

_WIDEST = 100


def node_of(thing: Any) -> ast.stmt:
    """Return the definition of a function or a class."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    return node


def signature_of(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, returns: str) -> str:
    """Return a call with all parameters, in several lines if one is too short for it. `returns` ends it."""
    arguments = [part for part in ast.unparse(node.args).split(", ") if part not in ("self", "cls")]
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= _WIDEST:
        return line
    return f"{name}(\n{textwrap.indent(_broken(', '.join(arguments)), '    ')}\n){returns}"


def _broken(arguments: str) -> str:
    """Return arguments one in a line; commas within brackets are a type's."""
    depth, lines = 0, [""]
    for sign in arguments:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        lines[-1] += sign
        if sign == "," and not depth:
            lines.append("")
    return "\n".join(line.strip() for line in lines)
