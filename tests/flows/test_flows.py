"""Realistic workflows come to the same end straight, replayed at each wait, and crashed after each write."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from stepwell.core.failures import Failure
from tests.engine.ways import Job, Sending, every_way
from tests.flows import agents, billing, data, media, ops, people, shop, travel
from tests.flows.people import Opinion

CASES = [
    pytest.param(
        Job(
            shop.OrderFulfilment,
            {"number": "7", "lines": [{"item": "desk", "count": 1}, {"item": "book", "count": 2}]},
            [Sending("approved", {"by": "ann"}, is_late=True)],
        ),
        {
            "tracking": "track-pa_7",
            "approved_by": "ann",
            "due": "349.80",
            "parcel": "pa_7",
            "paid_by": "ch_7_349.80",
            "from": ["D-1", "B-12"],
        },
        id="order",
    ),
    pytest.param(
        Job(
            shop.OrderFulfilment, {"number": "8", "lines": [{"item": "book", "count": 1}, {"item": "lamp", "count": 4}]}
        ),
        {"order": "8", "refused": "4 of lamp wanted, 3 there", "left": 3},
        id="order out of stock",
    ),
    pytest.param(
        Job(
            shop.Return,
            {"order": "7", "paid": "49.50"},
            [Sending("parcel-arrived", {"condition": "used"}, is_late=True)],
        ),
        {"label": "label-7-keyed", "state": "refunded", "condition": "used", "refund": "re_7", "amount": "29.70"},
        id="return",
    ),
    pytest.param(
        Job(shop.Return, {"order": "7", "paid": "49.50"}),
        {"label": "label-7-keyed", "state": "given up"},
        id="return that never comes",
    ),
    pytest.param(
        Job(shop.Return, {"order": "7", "paid": "1"}, [Sending("parcel-arrived", {"condition": "wet"})]),
        ("UnknownCondition", "nobody knows the condition 'wet'"),
        id="return that nobody understands",
    ),
    pytest.param(
        Job(
            shop.CartReminder,
            {"owner": "Ben", "items": ["book", "lamp"]},
            [Sending("checked-out", {"order": "9"}, is_late=True)],
        ),
        {"sent": ["Ben, 2 things wait for you (gently)"], "thanks": "thank you, Ben, for 9"},
        id="cart that is bought",
    ),
    pytest.param(
        Job(shop.CartReminder, {"owner": "Ben", "items": ["lamp", "book", "lamp"]}),
        {
            "sent": [
                "Ben, 3 things wait for you (gently)",
                "Ben, 3 things wait for you (again)",
                "Ben, 3 things wait for you (with a voucher)",
            ],
            "dropped": ["book", "lamp"],
        },
        id="cart that is dropped",
    ),
    pytest.param(
        Job(shop.BuyIn, {"item": "lamp", "count": 4}),
        {"booked": ["po-brandt-4", 5000, "book"], "called_off": 2},
        id="buying in",
    ),
    pytest.param(
        Job(travel.BookTrip, {"traveller": "Cleo", "city": "Oslo", "first": "2027-03-30", "nights": 4}),
        {"booked": True, "numbers": ["flight-OSL-4", "hotel-OSL-4", "car-OSL-4"], "home": "2027-04-03"},
        id="trip",
    ),
    pytest.param(
        Job(travel.BookTrip, {"traveller": "Cleo", "city": "Venice", "first": "2027-03-30", "nights": 4}),
        {
            "booked": False,
            "why": "no car in Venice on 30 March",
            "cancelled": ["hotel-VEN-4 cancelled", "flight-VEN-4 cancelled"],
        },
        id="trip that is undone",
    ),
    pytest.param(
        Job(
            travel.VisaApplication,
            {"applicant": "Dora"},
            [Sending("fee", 90), Sending("photograph", "jpg", is_late=True), Sending("passport", "x", is_late=True)],
        ),
        {"file": "V-004", "granted": True, "papers": ["fee", "passport", "photograph"]},
        id="visa",
    ),
    pytest.param(
        Job(travel.VisaApplication, {"applicant": "Dora"}, [Sending("fee", 90)]),
        ("Incomplete", "file V-004: missing passport, photograph"),
        id="visa that is refused",
    ),
    pytest.param(
        Job(billing.InvoiceRun, {"month": "2027-02", "customers": ["acme", "birch", "cobalt", "dune"]}),
        billing.Statement(["2027-02/001", "2027-02/002", "2027-02/003"], Decimal("101.46"), ["dune"]),
        id="invoices of a month",
    ),
    pytest.param(
        Job(billing.Subscription, {"customer": "Ann", "monthly": "9.90", "every_months": 3}),
        {"paid": "103.95", "until": "2027-10-05", "notice": None},
        id="subscription of a year",
    ),
    pytest.param(
        Job(
            billing.Subscription,
            {"customer": "Ann", "monthly": "9.90", "trial_days": 0},
            [Sending("notice", {"reason": "too dear"}, is_late=True)],
        ),
        {"paid": "9.90", "until": "2026-10-21", "notice": "too dear"},
        id="subscription that is given up",
    ),
    pytest.param(
        Job(billing.Dunning, {"invoice": "17", "amount": "80.00", "card": "4242"}),
        {"paid_by": "card", "with": "auth-4242", "amount": "80.00"},
        id="overdue invoice paid by card",
    ),
    pytest.param(
        Job(
            billing.Dunning,
            {"invoice": "17", "amount": "80.00", "card": "0002"},
            [Sending("paid", {"by": "transfer"}, is_late=True)],
        ),
        {"paid_by": "transfer", "why": "stolen_card", "letters": ["reminder 1 of 17: 80.00 due"]},
        id="overdue invoice paid after a reminder",
    ),
    pytest.param(
        Job(billing.Dunning, {"invoice": "17", "amount": "80.00", "card": "0002"}),
        {
            "paid_by": None,
            "why": "stolen_card",
            "letters": [
                "reminder 1 of 17: 80.00 due",
                "reminder 2 of 17: 85.00 due",
                "reminder 3 of 17: 97.50 due",
            ],
            "case": "case-17-97.50",
        },
        id="overdue invoice that is never paid",
    ),
    pytest.param(
        Job(media.VideoPipeline, {"upload": "talk.mov"}),
        {
            "playlists": ["17 talk.mov/360.m3u8", "17 talk.mov/720.m3u8", "17 talk.mov/1080.m3u8"],
            "poster": "b729dfaf4d6f18fd3a11648a32039ff9",
            "as": "publish-1",
            "needs_copy": False,
        },
        id="video",
    ),
    pytest.param(
        Job(media.VideoPipeline, {"upload": "song.wav"}),
        ("NoPicture", "song.wav has pcm and no picture"),
        id="video without a picture",
    ),
    pytest.param(
        Job(media.PodcastTranscript, {"show": "wells", "episode": "stepwell", "minutes": 3}),
        [f"[0:0{minute}:00] STEPWELL {minute}" for minute in range(3)],
        id="podcast",
    ),
    pytest.param(
        Job(data.PartsLoad, {"table": "rides", "parts": 20, "corrupt": [3, 17]}),
        {"rows": 18170, "checksum": "cd74fb26", "corrupt": {3: 21, 17: 119}},
        id="parts",
    ),
    pytest.param(
        Job(data.NightlyReport),
        data.Report(
            UUID("f0b5da13-646f-5b01-8894-df53a12a486e"),
            date(2026, 9, 21),
            {"north": Decimal("1204.50"), "south": Decimal("990.00"), "overseas": Decimal("310.25")},
            Decimal("1174.81"),
            {"ops@example.com", "board@example.com"},
        ),
        id="nightly report",
    ),
    pytest.param(
        Job(
            data.Migration,
            {"table": "rides", "shards": {"0": 35, "1": 20}, "differing": [[0, 7], [1, 3]]},
            [Sending("change-over", {"by": "Eve"}, is_late=True)],
        ),
        {"moved": True, "copied": 55, "repaired": ["0/7", "1/3"], "permitted_by": "Eve"},
        id="migration",
    ),
    pytest.param(
        Job(data.Migration, {"table": "rides", "shards": {"0": 5}, "differing": []}),
        {"moved": False, "copied": 5, "repaired": []},
        id="migration that nobody permits",
    ),
    pytest.param(
        Job(
            agents.SupportAgent,
            {"complaint": "broken: A-17"},
            [Sending("approval", {"granted": True}), Sending("approval", {"granted": True}, is_late=True)],
        ),
        {"answer": "done: refunded 120.00 with a key of 32", "turns": 4, "said": 8},
        id="agent with tools",
    ),
    pytest.param(
        Job(agents.SupportAgent, {"complaint": "broken: A-17"}),
        {"answer": "done: a person has refused this", "turns": 3, "said": 6},
        id="agent whom nobody answers",
    ),
    pytest.param(
        Job(agents.ResearchAgent, {"topic": "wells", "breadth": 2}),
        agents.Finding(
            "wells",
            "wells part 0 is deep; wells part 1 is deep",
            {"library/wells-part-0", "web/wells-part-0", "library/wells-part-1", "web/wells-part-1"},
        ),
        id="agents that share a question",
    ),
    pytest.param(
        Job(agents.ResearchAgent, {"topic": " ", "breadth": 2}),
        ("WorkflowFatalError", "The params do not fit the workflow: params.topic: Value error, a topic needs words"),
        id="question without words",
    ),
    pytest.param(
        Job(
            people.DocumentReview,
            {"title": "RFC 7", "reviewers": ["ann", "ben", "cleo"]},
            [Sending("vote-ann", {"ok": True}), Sending("vote-cleo", {"ok": True, "remark": "typo"}, is_late=True)],
        ),
        people.Decision(True, {"ann": Opinion.APPROVES, "cleo": Opinion.APPROVES}, ["typo"], {"ben"}),
        id="document",
    ),
    pytest.param(
        Job(
            people.DocumentReview,
            {"title": "RFC 7", "reviewers": ["ann", "ben", "cleo"]},
            [Sending("vote-ben", {"ok": False, "remark": "too short"}, is_late=True)],
        ),
        people.Decision(False, {"ben": Opinion.OBJECTS}, ["too short"], {"ann", "cleo"}),
        id="document with an objection",
    ),
    pytest.param(
        Job(
            people.DocumentReview,
            {"title": "RFC 7", "reviewers": ["ann", "ben"]},
            [Sending("vote-ben", {"ok": True}, is_late=True)],
        ),
        people.Decision(False, {"ann": Opinion.ABSENT, "ben": Opinion.APPROVES}, [], {"ann"}),
        id="document that is not read by enough",
    ),
    pytest.param(
        Job(
            people.Onboarding,
            {"name": "Ada", "first_day": "2026-11-02"},
            [Sending("contract-signed", {"place": "Oslo"}, is_late=True)],
        ),
        {
            "accounts": ["ada2@mail", "ada@chat", "ada.b@payroll"],
            "laptop": "laptop 1003",
            "greeting": "welcome Ada, your password has 16 letters",
            "signed_at": "Oslo",
            "began": "2026-11-02T07:30:00+00:00",
        },
        id="first months",
    ),
    pytest.param(
        Job(people.Onboarding, {"name": "Ada", "first_day": "2026-11-02"}),
        ("NotHired", "Ada has not signed"),
        id="contract that is not signed",
    ),
    pytest.param(
        Job(ops.ServerProvisioning, {"name": "web1", "regions": ["fra", "ams"]}),
        {
            "ready": True,
            "installed": "debian on 10.8.3.4",
            "record": "web1.example.com A 10.8.3.4",
            "full": ["fra"],
            "tags": ["ams", "web"],
        },
        id="server",
    ),
    pytest.param(
        Job(ops.ServerProvisioning, {"name": "web1", "regions": ["ams"], "image": "broken"}),
        {"ready": False, "why": "broken on 10.8.3.4", "errno": 5},
        id="server that is given back",
    ),
    pytest.param(
        Job(ops.ServerProvisioning, {"name": "web1", "regions": ["fra", "par"]}),
        (
            "ExceptionGroup",
            "no region has room (2 exceptions: QuotaExceeded: all 0 servers of fra are taken; "
            "QuotaExceeded: all 0 servers of par are taken)",
        ),
        id="server without room",
    ),
    pytest.param(
        Job(
            ops.IncidentEscalation,
            {"service": "dns", "severity": 2},
            [Sending("acknowledged", {"by": "Kim"}, is_late=True), Sending("resolved", is_late=True)],
        ),
        {
            "paged": ["on-call", "second", "lead"],
            "by": "Kim",
            "updates": ["dns: still working on it (1)", "dns: still working on it (2)"],
            "meeting": "dns: on-call, second, lead, Kim",
        },
        id="incident",
    ),
    pytest.param(
        Job(ops.IncidentEscalation, {"service": "dns", "severity": 1}),
        {"paged": ["on-call", "second"], "by": None, "updates": []},
        id="incident that nobody answers",
    ),
]


@pytest.mark.parametrize(("job", "expected"), CASES)
async def test_flow_ends_the_same_in_every_way(job: Job, expected: Any) -> None:
    """A workflow has one outcome, whatever its worker goes through."""
    ended = await every_way(job, takes_turns=True)

    assert shown(ended) == expected


@pytest.mark.long
@pytest.mark.parametrize(("job", "expected"), CASES)
async def test_flow_ends_the_same_after_every_crash(job: Job, expected: Any) -> None:
    """The same with both crashes at each write: before its answer arrives, and after."""
    ended = await every_way(job)

    assert shown(ended) == expected


@pytest.mark.long
async def test_year_of_months_ends_the_same_in_every_way() -> None:
    """A year of twelve sleeps has one outcome, whatever its worker goes through."""
    job = Job(billing.Subscription, {"customer": "Ann", "monthly": "9.90"})

    assert await every_way(job) == {"paid": "103.95", "until": "2027-10-05", "notice": None}


def shown(ended: Any) -> Any:
    """Return an output as it is, and of an error the name and the message."""
    return (ended.name, ended.message) if isinstance(ended, Failure) else ended
