"""Drawings as they are: what is in this folder. `python -m tests.graph.goldens` keeps new ones."""

from pathlib import Path

FOLDER = Path(__file__).parent


def golden(name: str, drawing: str) -> bool:
    """Tell whether a drawing is the one that was kept."""
    return (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == _in_lines(drawing)


def keep(name: str, drawing: str) -> None:
    """Keep a drawing."""
    (FOLDER / f"{name}.svg").write_text(_in_lines(drawing), encoding="utf-8")


def _in_lines(drawing: str) -> str:
    return drawing.replace("><", ">\n<") + "\n"
