"""Links between the pages lead somewhere."""

import re
from functools import cache
from pathlib import Path

from tests.docs.snippets import PAGES, ROOT, text_of

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    """Of README.md and of all pages; headings are named as GitHub names them."""
    links = [(page, *found) for page in PAGES for found in _LINK.findall(_FENCED.sub("", text_of(page)))]
    meant = [(page, (ROOT / page).parent / path if path else ROOT / page, heading) for page, path, heading in links]

    assert len(links) > 500
    assert [f"{page}: {path}" for page, path, _ in meant if not path.exists()] == []
    assert [f"{page}: {path}#{heading}" for page, path, heading in meant if heading and heading not in _of(path)] == []


@cache
def _of(path: Path) -> set[str]:
    """Return the names of a page's headings."""
    headings = _HEADING.findall(_FENCED.sub("", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
