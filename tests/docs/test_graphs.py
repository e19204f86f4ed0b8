"""The page about graphs shows what the command prints."""

import re
from pathlib import Path

from tests.cli.commands import run

PAGE = (Path(__file__).parent.parent.parent / "docs" / "graphs.md").read_text(encoding="utf-8")


def test_tree_of_the_page_is_that_of_its_source(tmp_path: Path) -> None:
    """The source above, the tree below."""
    (source,), (tree,) = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("python", "text"))
    (tmp_path / "order.py").write_text(source)

    assert run("graph", str(tmp_path / "order.py")).stdout == tree
