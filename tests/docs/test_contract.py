"""docs/contract.md: each promise, each way of breaking one, and tests that are there."""

import re
from pathlib import Path

from tests.marks import functions_of
from tests.mutations.mutants import MUTANTS

PAGE = Path("docs/contract.md").read_text("utf-8")


def test_page_has_each_promise_of_the_architecture() -> None:
    """By its number, in the same words."""
    _, _, invariants = Path("ARCHITECTURE.md").read_text("utf-8").partition("## The invariants")
    numbered = re.findall(r"^(\d+)\. \*\*(.+?)[.,]?\*\*", invariants, re.MULTILINE)
    shown = re.findall(r"^\| (\d+) \| \*\*(.+?)[.,]?\*\*", PAGE, re.MULTILINE)

    assert len(numbered) == 14
    assert shown == numbered


def test_page_has_each_way_of_breaking_a_promise() -> None:
    """With the test that tells."""
    rows = re.findall(r"^\| (\d+) \| ([^*|]+) \| \[(\w+)\]\(\.\./([\w./]+)\) \|$", PAGE, re.MULTILINE)

    assert sorted(rows) == sorted(
        (str(mutant.promise), mutant.what, mutant.caught_by.partition("::")[2], mutant.caught_by.partition("::")[0])
        for mutant in MUTANTS
    )


def test_tests_of_the_page_are_there() -> None:
    """Each in the file that it links to."""
    linked = re.findall(r"\[(test_\w+)\]\(\.\./([\w./]+)\)", PAGE)

    assert len(linked) > 30
    assert [name for name, file in linked if name not in functions_of(file)] == []


def test_each_promise_has_a_test_that_make_test_runs() -> None:
    """What takes minutes shows more of it."""
    rows = re.findall(r"^\| (\d+) \| \*\*.*\|(.*)\|$", PAGE, re.MULTILINE)
    links = {number: re.findall(r"\[(test_\w+)\]\(\.\./([\w./]+)\)", held_by) for number, held_by in rows}

    assert len(links) == 14
    assert [
        number for number, linked in links.items() if not any(functions_of(file)[name] for name, file in linked)
    ] == []
