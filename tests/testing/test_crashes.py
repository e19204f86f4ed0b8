"""A scenario is run with a crash after each write, and has to come to the same end."""

import pytest

from stepwell.errors import OutcomeChanged
from stepwell.testing import TestEngine, crash_everywhere
from tests.testing.flows import Order, Shifting, Telling, Three


async def ordering(engine: TestEngine) -> None:
    """Order, let time pass, and approve."""
    instance = await engine.create(Order, id="a", params={})
    await engine.advance("2 hours")
    await instance.send_event("approved", {"by": "ann"})
    await engine.advance("1 hour")
    assert await instance.output() == {"receipt": 42, "by": "ann", "parts": 3}


async def test_scenario_comes_to_the_same_end_whatever_it_dies_after() -> None:
    """After each write there are two crashes, and each engine comes to the same."""
    crashes = await crash_everywhere(ordering, [Order])

    assert crashes > 20


async def test_crash_may_be_after_some_writes_only() -> None:
    """With `every` a long scenario is crashed in fewer places."""

    async def resting(engine: TestEngine) -> None:
        await engine.create(Three, id="a")
        await engine.advance("1 hour")

    assert [await crash_everywhere(resting, [Three], every=every) for every in (5, 100)] == [4, 0]


async def test_crash_that_changes_the_end_is_named() -> None:
    """A step whose result tells of the crash is found, with the write and what is another thing then."""

    async def paying(engine: TestEngine) -> None:
        await engine.create(Telling, id="a")
        await engine.run_until_idle()

    with pytest.raises(OutcomeChanged) as found:
        await crash_everywhere(paying, [Telling])

    assert str(found.value) == (
        "With a crash after write 2 of 4, before its answer arrives (attempt started: pay-1), "
        "the scenario comes to another end:\n"
        "\n"
        "  ...\n"
        "   telling: complete\n"
        "   \n"
        '  -step   pay-1  "paid in attempt 1"\n'
        '  +step   pay-1  "paid in attempt 2"\n'
        "   \n"
        '  -output  "paid in attempt 1"\n'
        '  +output  "paid in attempt 2"'
    )


async def test_scenario_that_never_ends_the_same_is_told_apart() -> None:
    """What is another thing each time, without a crash, is not put down to crashes."""

    async def drawing(engine: TestEngine) -> None:
        await engine.create(Shifting, id="a")
        await engine.run_until_idle()

    with pytest.raises(OutcomeChanged, match=r"^The scenario comes to another end each time, without any crash: have"):
        await crash_everywhere(drawing, [Shifting])


async def test_failure_of_a_crashed_scenario_says_where() -> None:
    """What a scenario raises only after a crash has a note of which it was."""
    seen = 0

    async def counting(engine: TestEngine) -> None:
        nonlocal seen
        seen += 1
        await engine.create(Telling, id="a")
        await engine.run_until_idle()
        assert seen < 3

    with pytest.raises(AssertionError) as found:
        await crash_everywhere(counting, [Telling])

    (note,) = found.value.__notes__
    assert note == "This came with a crash after write 1 of 4, before its answer arrives (an instance claimed)."
