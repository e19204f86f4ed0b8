"""docs/llms.txt is what the pages say, in the form of llmstxt.org."""

import re
from pathlib import Path

import pytest

from tools import llms, pages

DOCS = Path("docs")


def test_file_is_current() -> None:
    """`make reference` writes it anew."""
    assert llms.PLACE.read_text("utf-8") == llms.page(), "run `make reference`"


def test_file_has_the_form_that_programs_read() -> None:
    """A title, what it is about, then sections of links, each with a sentence; each page of the docs once."""
    head, *sections = llms.page().split("\n## ")
    links = [link for section in sections for link in section.split("\n\n")[1].strip().splitlines()]
    found = [re.fullmatch(r"- \[[^]]+\]\(([^)]+)\): \S.*\.", link) for link in links]

    assert re.match(r"# Stepwell\n\n> Stepwell is .+\.\n\n", head)
    assert [link for link, form in zip(links, found, strict=True) if form is None] == []
    paths = [form[1] for form in found if form]
    assert len({*paths}) == len(paths)
    assert [path for path in paths if not (DOCS / path).is_file()] == []
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} <= {*paths}
    assert sections[-1].startswith("Optional\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("# A\n\nOne `a. b` and 1.5. Two.", "One `a. b` and 1.5.", id="stops inside"),
        pytest.param("# A\n\n## B\n\n| c |\n\nIt is\n[d](e.md). F.", "It is d.", id="below what is no prose"),
        pytest.param("# A\n\nWithout end", "Without end", id="no stop"),
    ],
)
def test_first_sentence_is_taken(text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As plain text; a page that no section names is told of, too."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "new.md").write_text(text)
    (tmp_path / "README.md").write_text("# T\n\nS.")
    monkeypatch.setattr(pages, "DOCS", docs)
    monkeypatch.setattr(pages, "_SECTIONS", {"Optional": ("../README.md",)})

    assert f"\n## More\n\n- [A](new.md): {sentence}\n" in llms.page()
