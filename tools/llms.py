"""Write docs/llms.txt, by which models find their way through the docs, from the pages themselves: `make reference`.

Source of the form: llmstxt.org
"""

import re
from collections.abc import Iterator
from posixpath import join, normpath

from tools import pages

PLACE = pages.DOCS / "llms.txt"

_BESIDE = """\
A running server has every operation of its API at `/docs`, and the same for programs at `/openapi.json`.
"""
_LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
# What ends with a full stop that is not in a name or a number; what is between backticks is passed over as a whole.
_SENTENCE = re.compile(r"(?:`[^`]*`|[^`])*?[.](?=\s|$)")
_NO_PROSE = ("#", "|", "-", "```", "    ", "![")


def page(docs: str = "") -> str:
    """Return the file: a title, what it is about, and a line for each page. `docs` leads from it to the pages."""
    title, about = _head_of("../README.md")
    return "\n".join([f"# {title}\n", f"> {about}\n", _BESIDE, *_lines(docs)])


def full() -> str:
    """Return all pages that a model should not leave out, one after another, each below its path."""
    *sections, _ = pages.sections().values()
    paths = [path for section in sections for path in section]
    return "\n".join(f"<!-- {normpath(f'docs/{path}')} -->\n\n{_text_of(path)}" for path in paths)


def write() -> None:
    """Write it to its place."""
    PLACE.write_text(page(), encoding="utf-8")


def _lines(docs: str) -> Iterator[str]:
    for section, paths in pages.sections().items():
        yield f"## {section}\n"
        for path in paths:
            title, about = _head_of(path)
            yield f"- [{title}]({normpath(join(docs, path))}): {about}"
        yield ""


def _head_of(path: str) -> tuple[str, str]:
    """Return the title of a page, and the first sentence below it."""
    first, *paragraphs = _text_of(path).split("\n\n")
    text = next(one for one in paragraphs if not one.startswith(_NO_PROSE))
    plain = _LINK.sub(r"\1", " ".join(text.split()))
    sentence = _SENTENCE.match(plain)
    return first.removeprefix("# ").strip(), sentence[0] if sentence else plain


def _text_of(path: str) -> str:
    return (pages.DOCS / path).read_text("utf-8")


if __name__ == "__main__":
    write()
