"""How an order is tested: without a bank, a parcel, or seven days of waiting. `pytest examples` runs it.

The fixture comes with Stepwell, and needs no other plugin; an engine of it ends with the test.
"""

import pytest
from order import Bank, Order, PaymentDeclined

from stepwell import WorkflowTimeoutError


async def test_order_is_charged_approved_and_shipped(stepwell_engine):
    """The steps run as they are. Only time is the test's: the delays before retries and the sleep pass at once."""
    engine = await stepwell_engine(Order)
    order = await engine.create(Order, params={"cents": 4200})

    payment = await order.wait_for_step_result("charge")
    await order.send_event("approved", {"by": "ann"})

    assert payment["cents"] == 4200
    assert (await order.wait_for_output())["approved_by"] == "ann"


async def test_order_waits_for_its_approval(stepwell_engine):
    """What is checked in between is checked at its moment."""
    engine = await stepwell_engine(Order)
    order = await engine.create(Order, params={"cents": 4200})

    await engine.advance("6 days")

    assert await order.status() == "waiting"


async def test_order_that_nobody_approves_times_out(stepwell_engine):
    """Seven days pass in a few milliseconds."""
    engine = await stepwell_engine(Order, now="2026-12-01T12:00")
    order = await engine.create(Order, params={"cents": 4200})

    await engine.advance_to("2026-12-08T12:00")
    assert await order.status() == "waiting"

    await order.wait_for_status("errored")
    assert isinstance(await order.get_error(), WorkflowTimeoutError)


async def test_bank_is_not_asked(stepwell_engine):
    """Modifiers are said before the instance is there: results of steps, events, and which sleeps take no time."""
    engine = await stepwell_engine(Order)
    async with engine.introspect_instance(Order, "42") as order:
        order.mock_step_result("charge", {"charge": "ch_1", "cents": 4200})
        order.mock_event("approved", {"by": "ann"})
        order.disable_sleeps()
        await engine.create(Order, id="42", params={"cents": 4200})

        await order.wait_for_status("complete")

        assert (await order.get_output())["charge"] == "ch_1"


async def test_card_that_is_declined_for_good_ends_the_order(stepwell_engine):
    """All attempts fail, and nothing is shipped."""
    engine = await stepwell_engine(Order)
    async with engine.introspect_instance(Order, "42") as order:
        order.mock_step_error("charge", PaymentDeclined("no money"))
        await engine.create(Order, id="42", params={"cents": 4200})

        with pytest.raises(PaymentDeclined, match="no money"):
            await order.wait_for_step_result("charge")

        assert [entry.name for entry in (await order.instance.log()).entries] == ["check-1", "charge-1"]


async def test_card_is_tried_again_as_often_as_it_takes(stepwell_engine, monkeypatch):
    """What is patched is what runs: the workflow is in the test's own process."""
    monkeypatch.setattr(Bank, "declines", 5)
    engine = await stepwell_engine(Order)
    order = await engine.create(Order, params={"cents": 4200})

    await order.wait_for_step_result("charge")

    assert len((await order.log()).entries[1].attempts) == 6


@pytest.mark.parametrize("params", [{}, {"cents": 0}, {"cents": "4200"}])
async def test_order_without_a_price_is_refused(stepwell_engine, params):
    """At once, and without asking the bank."""
    engine = await stepwell_engine(Order)
    order = await engine.create(Order, params=params)

    await order.wait_for_status("errored")

    assert str(await order.get_error()) == "an order needs `cents`, a whole number above 0"
