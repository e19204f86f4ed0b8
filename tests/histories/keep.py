"""Keeps histories of this version of Stepwell, with the sources that made them: `make histories`, once a release.

Later versions replay them in their tests. What has been kept never changes.
"""

import asyncio
import shutil
import sysconfig
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell import __version__
from stepwell.children import Children
from stepwell.core.failures import Failure
from stepwell.core.instance import FINAL
from stepwell.core.records import Action
from stepwell.forcing import Decision
from stepwell.scripts import workflow_name
from stepwell.store import Store
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.transfers import export
from tests.engine.stores import CheckedStore
from tests.histories.replaying import FOLDER, SETTINGS, Workflows, load

_FLOWS = FOLDER.parent / "flows"
_SOURCES = ("agents", "billing", "data", "media", "ops", "people", "shop", "travel")
_HOUR_MS = 3_600_000

Deed = Callable[[TestInstance], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A history to be kept: what is run, and what is done to it at moments, in milliseconds after it began."""

    name: str
    workflow: str
    params: Any = None
    deeds: Sequence[tuple[int, Deed]] = ()


def sent(event_type: str, payload: Any) -> Deed:
    """Return the sending of an event."""
    return lambda instance: instance.send_event(event_type, payload)


def forced(step: str, action: Action, **more: Any) -> Deed:
    """Return a decision by hand."""
    return lambda instance: instance.force(Decision(step, action, **more))


async def _retried(instance: TestInstance) -> None:
    """Pause and resume, approve, try a step again, fail it by hand, and begin the whole anew from a step."""
    await instance.pause()
    await instance.resume()
    await instance.send_event("approved", {"by": "ann"})


CASES = (
    Case(
        "order",
        "order-fulfilment",
        {"number": "7", "lines": [{"item": "desk", "count": 1}, {"item": "book", "count": 2}]},
        [(_HOUR_MS, sent("approved", {"by": "ann"}))],
    ),
    Case("return", "return", {"order": "7", "paid": "49.50"}, [(0, sent("parcel-arrived", {"condition": "used"}))]),
    Case("cart", "cart-reminder", {"owner": "Ben", "items": ["lamp", "book", "lamp"]}),
    Case("trip-undone", "book-trip", {"traveller": "Cleo", "city": "Venice", "first": "2027-03-30", "nights": 4}),
    Case("visa-refused", "visa-application", {"applicant": "Dora"}, [(0, sent("fee", 90))]),
    Case("invoices", "invoice-run", {"month": "2027-02", "customers": ["acme", "birch", "cobalt", "dune"]}),
    Case("subscription", "subscription", {"customer": "Ann", "monthly": "9.90", "every_months": 3}),
    Case("dunning", "dunning", {"invoice": "17", "amount": "80.00", "card": "0002"}),
    Case("video", "video-pipeline", {"upload": "talk.mov"}),
    Case("podcast", "podcast-transcript", {"show": "wells", "episode": "stepwell", "minutes": 3}),
    Case("parts", "parts-load", {"table": "rides", "parts": 20, "corrupt": [3, 17]}),
    Case("report", "nightly-report"),
    Case("values", "values"),
    Case("rolled-back", "trip"),
    Case("child", "order"),
    Case("stream", "export"),
    Case("nested", "nested"),
    Case(
        "by-hand",
        "waits",
        None,
        [
            (1_000, _retried),
            (2_000, forced("stuck-1", Action.RETRY)),
            (3_000, forced("stuck-1", Action.COMPLETE, value='"by hand"')),
            (4_000, forced("long nap-1", Action.SKIP, type="sleep")),
        ],
    ),
    Case(
        "failed-by-hand",
        "waits",
        None,
        [(1_000, _retried), (2_000, forced("stuck-1", Action.FAIL, error=Failure("Given", "nobody knows")))],
    ),
    Case(
        "restarted",
        "waits",
        None,
        [
            (1_000, _retried),
            (2_000, lambda instance: instance.restart("approval", type="waitForEvent")),
            (3_000, sent("approved", {"by": "ben"})),
            (4_000, forced("stuck-1", Action.COMPLETE, value="[1.10]")),
            (5_000, lambda instance: instance.restart()),
            (6_000, sent("approved", {"by": "eve"})),
            (7_000, forced("stuck-1", Action.COMPLETE, value="2")),
        ],
    ),
    Case("terminated", "waits", None, [(1_000, _retried), (2_000, lambda instance: instance.terminate())]),
)


def main() -> None:
    """Keep a history of each case, in place of those of this version."""
    folder = FOLDER / __version__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for source in [*(_FLOWS / f"{name}.py" for name in _SOURCES), FOLDER / "controlled.py"]:
        shutil.copy(source, folder)
    workflows = load(folder)
    for case in CASES:
        lines = asyncio.run(_history(case, workflows))
        (folder / f"{case.name}.jsonl").write_bytes(lines)
        print(f"{case.name}: {lines.count(b'record')} records")


async def _history(case: Case, workflows: Workflows) -> bytes:
    workflow = next(each for each in workflows if workflow_name(each) == case.workflow)
    store = CheckedStore()
    async with TestEngine.open(workflows, settings=SETTINGS, store=store) as engine:
        instance = await engine.create(workflow, id=case.name, params=case.params)
        await engine.run_until_idle()
        await _act(engine, instance, case)
        children = await Children(engine.engine).relatives((await instance.view()).row)
        named = [*((child.workflow, child.id) for child in children.children), (case.workflow, case.name)]
        return b"".join([await _exported(store, *each) for each in named])


async def _act(engine: TestEngine, instance: TestInstance, case: Case) -> None:
    """Do what is done to an instance, each at its moment, and let it come to its end."""
    began_at = engine.clock.now()
    deeds = [(began_at + after_ms, deed) for after_ms, deed in case.deeds]
    while deeds or await instance.status() not in FINAL:
        alarm_at = engine.clock.next_alarm_at()
        if deeds and (alarm_at is None or deeds[0][0] <= alarm_at):
            at, deed = deeds.pop(0)
            engine.clock.move_to(max(at, engine.clock.now()))
            await deed(instance)
        else:
            assert alarm_at is not None, "nothing will ever happen again"
            engine.clock.move_to(alarm_at)
        await engine.run_until_idle()


async def _exported(store: Store, workflow: str, id: str) -> bytes:
    lines = b"".join([line async for line in export(store, ACCOUNT, workflow, id, with_sensitive=True)])
    # Tracebacks name files: where they lay is nobody's business.
    for folder in (FOLDER.parent.parent, Path(sysconfig.get_path("stdlib"))):
        lines = lines.replace(f"{folder}/".encode(), b"")
    return lines


if __name__ == "__main__":
    main()
