"""Write docs/llms.txt, by which models find their way through the docs, from the pages themselves: `make reference`.

Source of the form: llmstxt.org
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_DOCS = Path(__file__).parent.parent / "docs"
PLACE = _DOCS / "llms.txt"

_BESIDE = """\
A running server has every operation of its API at `/docs`, and the same for programs at `/openapi.json`.
"""
# By their paths from docs/. What a model may leave out has to stand under this last name.
_SECTIONS: Mapping[str, Sequence[str]] = {
    "Writing workflows": (
        "../README.md",
        "authoring.md",
        "guides/ai-agents.md",
        "guides/steps.md",
        "guides/sleeping.md",
        "guides/events.md",
        "guides/rollback.md",
        "guides/children.md",
        "checks.md",
        "graphs.md",
        "flow.md",
        "schedules.md",
        "guides/pydantic-ai.md",
        "guides/openai-agents.md",
        "embedding.md",
        "testing.md",
        "testing-replay.md",
    ),
    "Using them": ("cli.md", "client.md", "mcp.md", "dashboard.md", "search.md", "webhooks.md"),
    "Running servers": (
        "deploying.md",
        "deployment.md",
        "settings.md",
        "stores.md",
        "retention.md",
        "operating.md",
        "tracing.md",
        "capacity.md",
        "audit.md",
        "../SECURITY.md",
    ),
    "Coming from elsewhere": (
        "guides/migrate-cloudflare.md",
        "guides/migrate-temporal.md",
        "guides/migrate-dbos.md",
        "guides/migrate-celery.md",
        "comparison.md",
    ),
    "What is promised": ("contract.md", "compatibility.md"),
    "Reference": ("reference/cli.md", "reference/client.md", "reference/metrics.md", "reference/log.md"),
    "Optional": ("asvs.md", "internals.md", "../ARCHITECTURE.md", "../CONTRIBUTING.md", "../CHANGELOG.md"),
}
_MORE = "More"

_LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
# What ends with a full stop that is not in a name or a number; what is between backticks is passed over as a whole.
_SENTENCE = re.compile(r"(?:`[^`]*`|[^`])*?[.](?=\s|$)")
_NO_PROSE = ("#", "|", "-", "```", "    ", "![")


def page() -> str:
    """Return the file: a title, what it is about, and a line for each page."""
    title, about = _head_of("../README.md")
    return "\n".join([f"# {title}\n", f"> {about}\n", _BESIDE, *_lines()])


def write() -> None:
    """Write it to its place."""
    PLACE.write_text(page(), encoding="utf-8")


def _lines() -> Iterator[str]:
    for section, pages in _with_more().items():
        yield f"## {section}\n"
        for path in pages:
            title, about = _head_of(path)
            yield f"- [{title}]({path}): {about}"
        yield ""


def _with_more() -> Mapping[str, Sequence[str]]:
    """Return all sections. Pages that none of them names have one of their own, before what may be left out."""
    named = {path for pages in _SECTIONS.values() for path in pages}
    found = sorted(path.relative_to(_DOCS).as_posix() for path in _DOCS.rglob("*.md"))
    more = [path for path in found if path not in named]
    *others, last = _SECTIONS.items()
    return dict([*others, *([(_MORE, more)] if more else []), last])


def _head_of(path: str) -> tuple[str, str]:
    """Return the title of a page, and the first sentence below it."""
    first, *paragraphs = (_DOCS / path).read_text("utf-8").split("\n\n")
    text = next(one for one in paragraphs if not one.startswith(_NO_PROSE))
    plain = _LINK.sub(r"\1", " ".join(text.split()))
    sentence = _SENTENCE.match(plain)
    return first.removeprefix("# ").strip(), sentence[0] if sentence else plain


if __name__ == "__main__":
    write()
