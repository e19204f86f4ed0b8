"""How steps that run side by side are tested. `pytest examples` runs it."""

from fanout import FanOut


async def test_best_price_is_taken(stepwell_engine):
    """All four shops are asked."""
    engine = await stepwell_engine(FanOut)
    fan_out = await engine.create(FanOut)

    assert await fan_out.wait_for_output() == {"shop": "east", "cents": 1180, "bulk": [1168, 10620, 94400]}


async def test_shop_that_lowers_its_price_is_chosen(stepwell_engine):
    """Each step can be given another result; the others run."""
    engine = await stepwell_engine(FanOut)
    async with engine.introspect_instance(FanOut, "1") as fan_out:
        fan_out.mock_step_result("south", 900)
        await engine.create(FanOut, id="1")

        assert await fan_out.wait_for_step_result("best") == {"shop": "south", "cents": 900}


async def test_shop_that_cannot_be_reached_is_asked_again(stepwell_engine):
    """Its step fails twice and then succeeds; the delays before its retries take no time."""
    engine = await stepwell_engine(FanOut)
    async with engine.introspect_instance(FanOut, "1") as fan_out:
        fan_out.mock_step_error("east", ConnectionError("no route"), times=2)
        await engine.create(FanOut, id="1")

        assert await fan_out.wait_for_step_result("best") == {"shop": "east", "cents": 1180}
