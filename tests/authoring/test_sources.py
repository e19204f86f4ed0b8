"""Each rule of authoring says where it is public."""

import ast
import re
from pathlib import Path

HERE = Path(__file__)
SOURCE = re.compile(
    r"\n\nSource: (?:developers\.cloudflare\.com/workflows/\S+/(?:#\w+)?"
    r"|github\.com/cloudflare/(?:workers-sdk|workers-py) \(packages/\S+, \S+\))\s*\Z"
)


def test_every_test_of_this_folder_ends_in_its_public_source() -> None:
    """A test's docstring is its promise, and after it the page or file that has the rule."""
    silent = [
        f"{path.name}:{node.lineno} {node.name}"
        for path in sorted(HERE.parent.glob("test_*.py"))
        if path != HERE
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not SOURCE.search(ast.get_docstring(node) or "")
    ]

    assert silent == []
