"""Realistic workflows come to the same end straight, replayed at each wait, and crashed after each write."""

from typing import Any

import pytest

from stepwell.core.failures import Failure
from tests.engine.ways import Job, Sending, every_way
from tests.flows import shop, travel

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
]


@pytest.mark.parametrize(("job", "expected"), CASES)
async def test_flow_ends_the_same_in_every_way(job: Job, expected: Any) -> None:
    """A workflow has one outcome, whatever its worker goes through."""
    ended = await every_way(job)

    assert shown(ended) == expected


def shown(ended: Any) -> Any:
    """Return an output as it is, and of an error the name and the message."""
    return (ended.name, ended.message) if isinstance(ended, Failure) else ended
