"""docs/comparison.md says nothing of others without a source, and when they were read."""

import re

from tests.docs.snippets import text_of

PAGE = text_of("docs/comparison.md")
PEERS = ("DBOS", "Temporal", "Restate", "Inngest", "Hatchet", "Cloudflare")
TABLES = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)


def test_each_row_about_others_has_a_source() -> None:
    """A public page, or the word that nothing was found."""
    rows = [row for table in TABLES for row in table.splitlines() if row[2:].startswith(PEERS)]

    assert [row for row in rows if "](https://" not in row and "not found" not in row] == []


def test_each_table_has_all_of_them() -> None:
    """Whoever is left out in one looks better, or worse, than he is."""
    assert len(TABLES) == 9
    for table in TABLES:
        assert [peer for peer in PEERS if f"\n| {peer} |" not in table] == [], table


def test_page_says_when_it_was_written() -> None:
    """A date, as others change."""
    assert re.search(r"Read on\s+\d+ \w+ 20\d\d", PAGE)
