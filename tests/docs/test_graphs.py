"""The page about graphs shows what the command prints."""

from pathlib import Path

from tests.cli.commands import run
from tests.docs.snippets import shown


def test_tree_of_the_page_is_that_of_its_source(tmp_path: Path) -> None:
    """The source above, the tree below."""
    (source,), (tree,) = shown("docs/graphs.md", "python"), shown("docs/graphs.md", "text")
    (tmp_path / "order.py").write_text(source)

    assert run("graph", str(tmp_path / "order.py")).stdout == tree
