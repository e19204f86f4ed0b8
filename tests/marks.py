"""Which tests `make test` runs, as their source says."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LONG = "pytest.mark.long"


@cache
def functions_of(file: str) -> Mapping[str, bool]:
    """Return the functions of a file, by name, and whether `make test` runs each; none where there is no such file.

    What is marked by parameter counts as run: others of its cases are.
    """
    path = ROOT / file
    if not path.exists():
        return {}
    tree = ast.parse(path.read_text("utf-8"))
    is_long = any(isinstance(node, ast.Assign) and _names_it(node) for node in tree.body)
    return {
        node.name: not is_long and _LONG not in map(ast.unparse, node.decorator_list)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _names_it(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "pytestmark" and _LONG in ast.unparse(node.value)
