"""docs/asvs.md: each requirement once, each with its state, and tests that are there."""

import re
from collections import Counter
from pathlib import Path

PAGE = Path("docs/asvs.md").read_text("utf-8")
# How many requirements of levels 1 and 2 each section of the standard has, its version 5.0.0; in some, later ones are
# of level 3.
_COUNTS = """
    V1.1=2 V1.2=9 V1.3=11 V1.4=3 V1.5=2 V2.1=3 V2.2=3 V2.3=4 V2.4=1 V3.2=2 V3.3=4 V3.4=6 V3.5=5 V3.7=2 V4.1=3
    V4.2=1 V4.3=2 V4.4=4 V5.1=1 V5.2=3 V5.3=2 V5.4=3 V6.1=3 V6.2=12 V6.3=4 V6.4=4 V6.5=5 V6.6=3 V6.8=4 V7.1=3
    V7.2=4 V7.3=2 V7.4=5 V7.5=2 V7.6=2 V8.1=2 V8.2=3 V8.3=1 V8.4=1 V9.1=3 V9.2=4 V10.1=2 V10.2=2 V10.3=4
    V10.4=11 V10.5=5 V10.6=2 V10.7=3 V11.1=2 V11.2=3 V11.3=3 V11.4=4 V11.5=1 V11.6=1 V12.1=3 V12.2=2 V12.3=4
    V13.1=1 V13.2=5 V13.3=2 V13.4=5 V14.1=2 V14.2=4 V14.3=3 V15.1=3 V15.2=3 V15.3=7 V16.1=1 V16.2=5 V16.3=4
    V16.4=3 V16.5=3 V17.1=1 V17.2=4 V17.3=2
    """
SECTIONS = {name: int(count) for name, count in re.findall(r"(V[\d.]+)=(\d+)", _COUNTS)}
ROW = re.compile(r"^\| (V[\d., V-]+) \| .+ \| (met|not applicable|yours|\*\*open\*\*) \| .+ \|$", re.MULTILINE)


def _numbers(text: str) -> list[str]:
    """Return the requirements that a cell names: `V1.2.1, V1.2.3-5` are four."""
    found = []
    for part in text.split(", "):
        section, first, last = re.fullmatch(r"(V\d+\.\d+)\.(\d+)(?:-(\d+))?", part).groups()  # type: ignore[union-attr]  # else it is no cell
        found += [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def test_page_has_each_requirement_once() -> None:
    """All of levels 1 and 2, and no other."""
    found = Counter(number for cell, _ in ROW.findall(PAGE) for number in _numbers(cell))

    assert found == Counter(f"{name}.{number}" for name, count in SECTIONS.items() for number in range(1, count + 1))
    assert found.total() == 253


def test_page_counts_what_it_has() -> None:
    """The table at its head is the sum of the others."""
    counts: Counter[str] = Counter()
    for cell, state in ROW.findall(PAGE):
        counts[state.strip("*")] += len(_numbers(cell))

    assert "| " + " | ".join(str(counts[state]) for state in ("met", "not applicable", "yours", "open")) + " |" in PAGE


def test_tests_of_the_page_are_there() -> None:
    """Each in the file that it links to."""
    linked = re.findall(r"\[(test_\w+)\]\(\.\./([\w./]+)\)", PAGE)

    assert len(linked) > 50
    assert [
        (name, file)
        for name, file in linked
        if not Path(file).exists() or f"def {name}(" not in Path(file).read_text("utf-8")
    ] == []
