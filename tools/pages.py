"""The pages of the docs, in the order in which people read them: the one list, for the site and for docs/llms.txt.

A page that no section names, and no pattern of one, comes under `More`: a new one is found without being listed.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
FRONT = "start.md"

# By their paths from docs/; a pattern stands for pages that nothing before it names. What a model may leave out has to
# stand under this last name.
_SECTIONS: Mapping[str, Sequence[str]] = {
    "Begin": (FRONT, "concepts.md", "../README.md"),
    "Writing workflows": (
        "authoring.md",
        "checks.md",
        "graphs.md",
        "flow.md",
        "schedules.md",
        "embedding.md",
        "testing.md",
        "testing-replay.md",
    ),
    "Guides": (
        "guides/steps.md",
        "guides/sleeping.md",
        "guides/events.md",
        "guides/rollback.md",
        "guides/children.md",
        "guides/ai-agents.md",
        "guides/pydantic-ai.md",
        "guides/openai-agents.md",
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
    # Whatever else is a guide comes before what is promised.
    "More guides": ("guides/*.md",),
    "What is promised": ("contract.md", "compatibility.md"),
    "Reference": ("reference/python.md", "reference/http.md", "reference/*.md"),
    "Optional": ("asvs.md", "internals.md", "../ARCHITECTURE.md", "../CONTRIBUTING.md", "../CHANGELOG.md"),
}
_MORE = "More"


def sections() -> Mapping[str, Sequence[str]]:
    """Return the pages of each section that has any, by their paths from docs/, each once."""
    seen: set[str] = set()
    found = {name: [page for path in paths for page in _new(path, seen)] for name, paths in _SECTIONS.items()}
    more = [page for page in _matching("**/*.md") if page not in seen]
    *others, last = found.items()
    return {name: pages for name, pages in (*others, (_MORE, more), last) if pages}


def _new(path: str, seen: set[str]) -> Iterator[str]:
    """Yield the pages of an entry that no entry before has, a named one whether it is there or not."""
    for page in _matching(path) if "*" in path else [path]:
        if page not in seen:
            seen.add(page)
            yield page


def _matching(pattern: str) -> list[str]:
    return sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob(pattern))
