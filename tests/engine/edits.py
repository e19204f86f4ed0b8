"""Edits of a running workflow's source: what `stepwell check` has to say of each."""

from typing import NamedTuple

from stepwell.outlook import Verdict

SOURCE = """
import asyncio
from dataclasses import dataclass

from stepwell import WorkflowEntrypoint


@dataclass
class Order:
    item: str
    amount: int


@dataclass
class Receipt:
    id: str
    amount: int


def check(order):
    return {"item": order.item, "ok": True}


def charge() -> Receipt:
    return Receipt("r-1", 40)


class Shop(WorkflowEntrypoint[Order]):
    async def run(self, event, step):
        order = event.payload
        checked = await step.do("check", lambda: check(order))
        await step.sleep("settle", "1 minute")
        receipt = await step.do("charge", charge)
        await step.do("book", lambda: None)
        parcel, label, *_ = await asyncio.gather(
            step.do("pack", lambda: "parcel"),
            step.do("label", lambda: "label"),
        )
        for place in ["front", "back"]:
            await step.do(f"print {place}", lambda: place)
        approval = await step.wait_for_event("approval", "approved", timeout="1 day")
        shipped = await step.do("ship", lambda: parcel)
        return {"receipt": receipt.id, "by": approval["payload"], "shipped": shipped, "item": checked["item"]}
"""


class Edit(NamedTuple):
    """An edit: what it is, which text of the source becomes which, and what becomes of an instance that runs."""

    title: str
    old: str
    new: str
    verdict: Verdict
    # What the report names.
    names: str = ""


BREAKING = (
    Edit(
        "a step that has run is renamed", '"charge", charge', '"charge card", charge', Verdict.DIVERGES, "charge card-1"
    ),
    Edit(
        "a step is put before one that has run",
        '        receipt = await step.do("charge"',
        '        await step.do("reserve", lambda: 1)\n        receipt = await step.do("charge"',
        Verdict.DIVERGES,
        "reserve-1",
    ),
    Edit(
        "a step becomes the first",
        '        checked = await step.do("check"',
        '        await step.do("begin", lambda: 1)\n        checked = await step.do("check"',
        Verdict.DIVERGES,
        "begin-1",
    ),
    Edit(
        "a step is split into two",
        '        receipt = await step.do("charge", charge)\n',
        '        await step.do("authorise", lambda: 1)\n        receipt = await step.do("capture", charge)\n',
        Verdict.DIVERGES,
        "authorise-1",
    ),
    Edit("a sleep that is over is renamed", '"settle", "1 minute"', '"rest", "1 minute"', Verdict.DIVERGES, "rest-1"),
    Edit(
        "a sleep becomes a step",
        'step.sleep("settle", "1 minute")',
        'step.do("settle", lambda: None)',
        Verdict.DIVERGES,
        "settle-1",
    ),
    Edit("the names that a loop makes change", '"print {place}"', '"print label {place}"', Verdict.DIVERGES, "front-1"),
    Edit(
        "a loop begins with one item more",
        '["front", "back"]',
        '["side", "front", "back"]',
        Verdict.DIVERGES,
        "print side-1",
    ),
    Edit("the wait that it is in is renamed", '"approval", "app', '"consent", "app', Verdict.DIVERGES, "consent-1"),
    Edit(
        "a step joins those that have run side by side",
        '            step.do("label", lambda: "label"),\n        )',
        '            step.do("label", lambda: "label"),\n            step.do("weigh", lambda: 3),\n        )',
        Verdict.DIVERGES,
        "weigh-1",
    ),
    Edit(
        "a branch turns to a step that has not run",
        '        await step.do("book", lambda: None)',
        '        if order.amount > 10:\n            await step.do("review", lambda: None)\n'
        '        await step.do("book", lambda: None)',
        Verdict.DIVERGES,
        "review-1",
    ),
    Edit(
        "it returns before steps that have run",
        "        parcel, label, *_ = await",
        "        if receipt.amount < 100:\n            return None\n        parcel, label, *_ = await",
        Verdict.DIVERGES,
        "pack-1",
    ),
    Edit(
        "a result's class has a field more",
        "class Receipt:\n    id: str\n",
        "class Receipt:\n    id: str\n    bank: str\n",
        Verdict.UNREADABLE,
        "bank",
    ),
    Edit(
        "a field of a result's class has another type",
        "    id: str\n    amount: int\n\n\ndef",
        "    id: str\n    amount: list[int]\n\n\ndef",
        Verdict.UNREADABLE,
        "amount",
    ),
    Edit("the params have a field more", "class Order:\n", "class Order:\n    who: str\n", Verdict.FAILS, "who"),
    Edit(
        "it reads of a result what that does not have",
        '        receipt = await step.do("charge"',
        '        weight = checked["weight"]\n        receipt = await step.do("charge"',
        Verdict.FAILS,
        "weight",
    ),
    Edit("the workflow is renamed", "class Shop(", "class Store(", Verdict.MISSING, "shop"),
)

HARMLESS = (
    Edit(
        "a comment",
        "        order = event.payload",
        "        # What is ordered.\n        order = event.payload",
        Verdict.GOES_ON,
    ),
    Edit("the body of a step that has run changes", 'Receipt("r-1", 40)', 'Receipt("r-2", 41)', Verdict.GOES_ON),
    Edit(
        "the body of a step that has not run changes",
        '"ship", lambda: parcel',
        '"ship", lambda: [parcel, label]',
        Verdict.GOES_ON,
    ),
    Edit("a variable is renamed", "checked", "found", Verdict.GOES_ON),
    Edit(
        "a step comes behind where it waits",
        "        shipped = await",
        '        await step.do("insure", lambda: 1)\n        shipped = await',
        Verdict.GOES_ON,
    ),
    Edit("a step that has not run is renamed", '"ship", lambda', '"send", lambda', Verdict.GOES_ON),
    Edit("a step that has not run is removed", 'await step.do("ship", lambda: parcel)', "parcel", Verdict.GOES_ON),
    Edit(
        "a step that has run gets other retries",
        '"charge", charge)',
        '"charge", charge, config={"retries": {"limit": 9, "delay": "1 second"}})',
        Verdict.GOES_ON,
    ),
    Edit("a sleep that is over gets longer", '"1 minute"', '"2 hours"', Verdict.GOES_ON),
    Edit("the wait that it is in gets another time-out", '"1 day"', '"3 days"', Verdict.GOES_ON),
    Edit(
        "a result's class gets a field with a default",
        "class Receipt:\n    id: str\n    amount: int\n",
        'class Receipt:\n    id: str\n    amount: int\n    bank: str = ""\n',
        Verdict.GOES_ON,
    ),
    Edit(
        "the params get a field with a default",
        "class Order:\n    item: str\n    amount: int\n",
        'class Order:\n    item: str\n    amount: int\n    note: str = ""\n',
        Verdict.GOES_ON,
    ),
    Edit(
        "a step that has run is removed",
        '        await step.do("book", lambda: None)\n',
        "",
        Verdict.GOES_ON,
        "book-1",
    ),
    Edit(
        "two steps that have run change places",
        '            step.do("pack", lambda: "parcel"),\n            step.do("label", lambda: "label"),\n',
        '            step.do("label", lambda: "parcel"),\n            step.do("pack", lambda: "label"),\n',
        Verdict.GOES_ON,
    ),
    Edit(
        "steps go into a method of their own",
        '        receipt = await step.do("charge", charge)\n',
        "        receipt = await self.paid(step)\n",
        Verdict.GOES_ON,
    ),
    Edit(
        "steps are put into a try",
        '        await step.do("book", lambda: None)\n',
        '        try:\n            await step.do("book", lambda: None)\n'
        "        except ValueError:\n            return None\n",
        Verdict.GOES_ON,
    ),
    Edit(
        "a step is put before one that has run, and asks whether it is meant",
        '        receipt = await step.do("charge"',
        '        if step.patched("reserve"):\n            await step.do("reserve", lambda: 1)\n'
        '        receipt = await step.do("charge"',
        Verdict.GOES_ON,
    ),
    Edit(
        "it says what it does",
        "        order = event.payload",
        '        step.log("begins")\n        order = event.payload',
        Verdict.GOES_ON,
    ),
)

_METHOD = """
    async def paid(self, step):
        return await step.do("charge", charge)
"""


def edited(edit: Edit) -> str:
    """Return the source after an edit, which has to change it."""
    assert edit.old in SOURCE, f"{edit.title}: {edit.old!r} is not in the source"
    source = SOURCE.replace(edit.old, edit.new)
    return source + _METHOD if "self.paid" in edit.new else source
