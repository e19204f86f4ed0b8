"""One plain page: workflows with their latest instances, and the log of one instance. No script at all."""

from collections.abc import Iterable
from html import escape
from urllib.parse import urlencode

from stepwell import plain_page
from stepwell.core.steplog import CalledEntry, Entry, SleepEntry, StepEntry, TerminationEntry, iso
from stepwell.engine import Engine, InstanceFilter, InstanceView
from stepwell.store.operations import InstanceRow, WorkflowRow

MOST_WORKFLOWS = 50
LATEST = 20
# More would keep the server from answering others while the page is made.
MOST_ENTRIES = 1_000

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid GrayText; padding: .25rem .75rem .25rem 0; text-align: left; }
td { overflow-wrap: anywhere; vertical-align: top; white-space: pre-wrap; }
"""
HEADERS = plain_page.headers(_STYLE)


async def overview(engine: Engine, account: str) -> str:
    """Return the page of all workflows, each with its latest instances."""
    found = await engine.workflows(account, limit=MOST_WORKFLOWS)
    parts = [
        _workflow(row, (await engine.list(account, row.name, InstanceFilter(limit=LATEST))).rows) for row in found.rows
    ]
    return _page("Stepwell", "".join(parts) or "<p>No workflow is loaded.</p>")


async def log(engine: Engine, account: str, workflow: str, instance: str) -> str:
    """Return the page of one instance. Raises WorkflowNotFound or InstanceNotFound."""
    view = await engine.get(account, workflow, instance)
    return _page(f"{workflow} / {instance}", '<p><a href="/">All workflows</a></p>' + _instance(view))


def _workflow(row: WorkflowRow, latest: Iterable[InstanceRow]) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in sorted(row.counts.items()) if count)
    lines = [
        (_link(row.name, instance.id), instance.status, iso(instance.created_at), str(instance.step_count))
        for instance in latest
    ]
    table = _table(("instance", "status", "created", "steps"), lines)
    return f"<h2>{escape(row.name)}</h2><p>{escape(counts) or 'no instances yet'}</p>{table}"


def _instance(view: InstanceView) -> str:
    row, error = view.row, view.log.error
    facts = [
        ("status", escape(row.status)),
        ("created", iso(row.created_at)),
        ("ended", "" if row.ended_at is None else iso(row.ended_at)),
        ("params", escape(view.params)),
        ("output", escape(view.output or "")),
        ("error", escape(f"{error.name}: {error.message}" if error else "")),
    ]
    shown = view.log.entries[-MOST_ENTRIES:]
    steps = _table(("name", "type", "start", "end", "state", "attempts", "output or error"), map(_entry, shown))
    count = len(view.log.entries)
    cut = "" if len(shown) == count else f"<p>The latest {len(shown):,} of {count:,}; the API has all of them.</p>"
    return _table(("", ""), facts) + "<h2>Steps</h2>" + cut + steps


def _entry(entry: Entry) -> tuple[str, ...]:
    if isinstance(entry, TerminationEntry):
        return ("", entry.type, "", "", "done", "", escape(f"asked for by: {entry.trigger}"))
    return _called(entry)


def _called(entry: CalledEntry) -> tuple[str, ...]:
    attempts = entry.attempts if isinstance(entry, StepEntry) else []
    error = attempts[-1].error if attempts else getattr(entry, "error", None)
    output = None if isinstance(entry, SleepEntry) else entry.output
    shown = f"{error.name}: {error.message}" if error else output or ""
    end = "" if entry.end is None else iso(entry.end)
    count = str(len(attempts) or "")
    return (escape(entry.name), entry.type, iso(entry.start), end, _state(entry), count, escape(shown))


def _state(entry: CalledEntry) -> str:
    if isinstance(entry, StepEntry):
        return {None: "running", True: "done", False: "failed"}[entry.success]
    return "done" if entry.finished else "waiting"


def _link(workflow: str, instance: str) -> str:
    query = urlencode({"workflow": workflow, "instance": instance})
    return f'<a href="/?{escape(query)}">{escape(instance)}</a>'


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table; its cells are HTML already."""
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _page(title: str, body: str) -> str:
    return plain_page.document(title, _STYLE, f"<h1>{escape(title)}</h1>{body}")
