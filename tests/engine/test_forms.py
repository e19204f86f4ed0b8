"""The forms of a step besides Cloudflare's decorator, and the typed event."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from stepwell import StepContext, WorkflowEntrypoint, WorkflowEvent, step
from stepwell.core.steplog import StepEntry
from stepwell.errors import InvalidInput
from stepwell.store.operations import GetParamsSchema, RegisterWorkflow
from stepwell.testing import TestEngine
from tests.engine.flows import ONCE, error_of, output_of, outputs_of
from tests.engine.stores import CheckedStore
from tests.engine.ways import Job, every_way


async def add(a: int, b: int = 0) -> int:
    return a + b


def double(n: int) -> int:
    return 2 * n


async def attempt_of(label: str, ctx: StepContext | None = None) -> str:
    assert ctx is not None
    return f"{label} {ctx.attempt} {ctx['step']['name']}"


@step(config=ONCE)
async def charge(cents: int, *, currency: str = "EUR") -> str:
    return f"{cents} {currency}"


@step(name="measure a text")
def measure(text: str) -> int:
    return len(text)


@step
async def twice(n: int) -> int:
    return await inner(n) + await inner(n)


@step
async def inner(n: int) -> int:
    return n


@dataclass
class Order:
    item: str
    cents: int = 0


class EvenNumber(pydantic.BaseModel):
    n: int

    @pydantic.field_validator("n")
    @classmethod
    def is_even(cls, n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n


class TypedOrder(WorkflowEntrypoint[Order]):
    async def run(self, event, step):
        return [event.payload.item, event.payload.cents, event["payload"], event.instance_id, event.workflow_name]


class Everything(WorkflowEntrypoint):
    async def run(self, event, step):
        total = await step.do("add", add, 1, b=2)
        price = await charge(total, currency="USD")
        sizes = await asyncio.gather(measure("a"), measure("bcd"), step.do("double", double, 4))
        await step.sleep("nap", "1 hour")
        return [total, price, sizes, await twice(3)]


# ---- the direct form


async def test_function_with_arguments_is_a_step() -> None:
    """`await step.do(name, function, *args, **kwargs)` runs it, async or not, and returns its result."""

    async def run(event, step):
        return [
            await step.do("add", add, 1, 2),
            await step.do("add", add, 1, b=4, config=ONCE),
            await step.do("double", double, 21),
        ]

    assert await outputs_of(run) == ([3, 5, 42], [3, 5, 42])


async def test_direct_form_gives_ctx_to_a_function_that_takes_it() -> None:
    """A parameter `ctx` that is not given receives the step's context."""

    async def run(event, step):
        return [await step.do("first", attempt_of, "a"), await step.do("second", attempt_of, label="b")]

    assert await output_of(run) == ["a 1 first", "b 1 second"]


async def test_direct_form_takes_a_method() -> None:
    """A bound method is a function like any other."""

    class Till:
        def __init__(self) -> None:
            self.cents = 5

        async def pay(self, cents: int, ctx: StepContext) -> list[int]:
            return [self.cents + cents, ctx.attempt]

    async def run(event, step):
        return await step.do("pay", Till().pay, 2)

    assert await output_of(run) == [7, 1]


async def test_wrong_arguments_fail_the_attempt_with_pythons_own_words() -> None:
    """A call that Python would refuse is refused in its words."""

    async def run(event, step):
        await step.do("add", add, 1, 2, 3, config=ONCE)

    error = await error_of(run)

    assert error is not None
    assert (error.name, "takes from 1 to 2 positional arguments" in error.message) == ("TypeError", True)


# ---- marked functions


async def test_marked_function_is_a_step_of_the_workflow_that_calls_it() -> None:
    """`@step` functions of a module are steps, with their own name and config, in any workflow."""
    async with TestEngine.open([Everything]) as engine:
        instance = await engine.create(Everything, id="1")
        await engine.advance("2 hours")
        entries = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]

        assert await instance.output() == [3, "3 USD", [1, 3, 8], 6]
        assert [entry.name for entry in entries] == [
            "add-1",
            "charge-1",
            "measure a text-1",
            "measure a text-2",
            "double-1",
            "twice-1",
            "inner-1",
            "inner-2",
        ]
        assert entries[1].config.limit == 0


async def test_every_form_survives_crashes_and_replays() -> None:
    """Straight, replayed at each wait and crashed after each write, the output is the same."""
    assert await every_way(Job(Everything)) == [3, "3 USD", [1, 3, 8], 6]


async def test_marked_function_just_runs_outside_of_a_workflow() -> None:
    """A unit test calls it as the function that it is."""
    assert await charge(5) == "5 EUR"
    assert await measure("four") == 4
    assert charge.__name__ == "charge"


async def test_marked_method_is_a_step_of_its_object() -> None:
    """`@step` works on methods."""

    class Shop(WorkflowEntrypoint):
        @step
        async def price(self, item: str) -> str:
            return f"{item}: 5"

        async def run(self, event, step):
            return await self.price("book")

    async with TestEngine.open([Shop]) as engine:
        instance = await engine.create(Shop)
        await engine.run_until_idle()

        assert await instance.output() == "book: 5"


# ---- the event


async def test_event_has_attributes_beside_the_members_of_cloudflares() -> None:
    """`event.payload` is what `event["payload"]` is where the workflow has no type for it."""
    seen: list[Any] = []

    async def run(event, step):
        seen.append((event.payload, event["payload"], event.timestamp == event["timestamp"], event.instance_id))

    await output_of(run, params={"n": 1})

    assert seen == [({"n": 1}, {"n": 1}, True, "a")]
    assert isinstance(WorkflowEvent({"payload": 1}), dict)


async def test_payload_has_the_type_that_the_workflow_names() -> None:
    """`WorkflowEntrypoint[Order]` makes an Order of `event.payload`; `event["payload"]` stays plain."""
    async with TestEngine.open([TypedOrder]) as engine:
        instance = await engine.create(TypedOrder, id="1", params={"item": "book"})
        await engine.run_until_idle()

        assert await instance.output() == ["book", 0, {"item": "book"}, "1", "typed-order"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        pytest.param({"item": 5}, "body: params.item does not fit: 5 is not of type 'string'", id="wrong type"),
        pytest.param(None, "body: params does not fit: 'item' is a required property", id="none"),
        pytest.param({"item": "x" * 20_000, "cents": "five"}, "body: params.cents does not fit: 'five'", id="large"),
    ],
)
async def test_params_that_do_not_fit_are_refused_at_creation(params: Any, message: str) -> None:
    """The caller is told the place and the reason, and no instance is made."""
    async with TestEngine.open([TypedOrder]) as engine:
        with pytest.raises(InvalidInput) as refused:
            await engine.create(TypedOrder, id="1", params=params)

        assert str(refused.value).startswith(message)
        assert refused.value.http_status == 400
        assert (await engine.engine.workflow("local", "typed-order")).counts == {}


async def test_params_are_held_against_the_newest_version() -> None:
    """An engine that knows an older version looks again, and creates or refuses by the newest."""
    async with TestEngine.open([TypedOrder]) as engine:
        await engine.create(TypedOrder, id="1", params={"item": "book"})
        version = str(uuid.uuid4())
        schema = '{"type":"object","required":["colour"]}'
        register = RegisterWorkflow("local", "typed-order", "s", "C", "1" * 64, version, version, 0, schema)
        await engine.store.run(register)

        with pytest.raises(InvalidInput, match="'colour' is a required property"):
            await engine.create(TypedOrder, id="2", params={"item": "book"})
        created = await engine.create(TypedOrder, id="2", params={"colour": "red"})

        assert (await created.view()).row.version == version


async def test_params_that_only_the_code_can_refuse_fail_the_instance() -> None:
    """A rule that no schema can say is met when the instance begins, and named."""

    class Checked(WorkflowEntrypoint[EvenNumber]):
        async def run(self, event, step):
            return event.payload.n

    async with TestEngine.open([Checked]) as engine:
        instance = await engine.create(Checked, params={"n": 3})
        await engine.run_until_idle()
        error = await instance.error()

    assert error is not None
    assert error.message == "The params do not fit the workflow: params.n: Value error, 3 is odd"


async def test_many_creates_at_once_ask_for_the_schema_once() -> None:
    """A burst at a fresh engine does not become a burst of questions."""

    class CountingStore(CheckedStore):
        asked = 0

        def run(self, operation):
            self.asked += isinstance(operation, GetParamsSchema)
            return super().run(operation)

    store = CountingStore()
    async with TestEngine.open([TypedOrder], store=store) as engine:
        await asyncio.gather(*(engine.create(TypedOrder, params={"item": "book"}) for _ in range(50)))

    assert store.asked == 1
    await store.close()
