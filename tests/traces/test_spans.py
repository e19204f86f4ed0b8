"""The spans of an instance, read from its history."""

import subprocess
import sys

from stepwell import NonRetryableError, WorkflowEntrypoint
from stepwell.core.records import Created
from stepwell.spans import Span, spans_of
from stepwell.store import codec
from stepwell.store.operations import GetInstance
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.traces import Trace, Tracing


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("outer", config={"retries": {"limit": 1, "delay": "2 seconds", "backoff": "constant"}})
        async def outer(ctx):
            await step.do("inner", lambda: None)
            if ctx.attempt == 1:
                raise ValueError("no")

        await outer()
        await step.sleep("rest", "1 hour")
        await step.wait_for_event("approval", "approved")


class Undone(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", lambda: None, rollback=lambda: None)
        await step.do("fail", _fail, config={"sensitive": "output"})


def _fail() -> None:
    raise NonRetryableError("hunter2")


async def _spans(engine: TestEngine, workflow: str) -> tuple[list[Span], Trace]:
    found = await engine.store.run(GetInstance(ACCOUNT, workflow, "a"))
    history = codec.from_rows(found.records)
    created = history[0].record
    assert isinstance(created, Created)
    trace = Tracing(is_on=True).of_instance("key", created)
    assert isinstance(trace, Trace)
    return spans_of(trace, found.row, history), trace


def _tree(spans: list[Span]) -> list[tuple[str, str | None, int, int]]:
    """Return spans with the names of their parents, and their times since the beginning in seconds."""
    names = {span.span_id: span.name for span in spans}
    began = spans[0].start
    return [
        (span.name, names.get(span.parent_id or ""), (span.start - began) // 1000, (span.end - began) // 1000)
        for span in spans
    ]


async def test_steps_are_below_the_attempts_that_call_them() -> None:
    """With their own attempts, sleeps and waits, at the times that the history has."""
    async with TestEngine.open([Order]) as engine:
        order = await engine.create(Order, id="a")
        await engine.advance("2 hours")
        await order.send_event("approved", {"card": "secret"})
        await engine.run_until_idle()
        spans, _ = await _spans(engine, "order")

    assert _tree(spans) == [
        ("order", None, 0, 7_200),
        ("outer", "order", 0, 2),
        ("outer attempt", "outer", 0, 0),
        ("outer attempt", "outer", 2, 2),
        ("inner", "outer attempt", 0, 0),
        ("inner attempt", "inner", 0, 0),
        ("rest", "order", 2, 3_602),
        ("approval", "order", 3_602, 7_200),
    ]
    assert [span.error for span in spans if span.error] == [("ValueError", "no")]
    assert spans[7].attributes == {
        "stepwell.step.name": "approval",
        "stepwell.step.count": 1,
        "stepwell.step.type": "waitForEvent",
        "stepwell.event.type": "approved",
    }
    assert len({span.span_id for span in spans}) == 8
    assert "secret" not in repr(spans)


async def test_rollbacks_are_spans_and_secrets_are_none() -> None:
    """What a step with a secret has raised is told by its class alone, also where it has ended the instance."""
    async with TestEngine.open([Undone]) as engine:
        await engine.create(Undone, id="a")
        await engine.run_until_idle()
        spans, _ = await _spans(engine, "undone")

    assert [(span.name, span.attributes.get("stepwell.step.type")) for span in spans] == [
        ("undone", None),
        ("charge", "step"),
        ("charge attempt", None),
        ("fail", "step"),
        ("fail attempt", None),
        ("charge", "rollback"),
        ("charge attempt", None),
    ]
    assert {span.error for span in spans if span.error} == {("NonRetryableError", "")}
    assert len({span.span_id for span in spans}) == 7


async def test_restart_is_another_root_with_steps_of_its_own() -> None:
    """In the same trace: nothing that was sent is written over."""
    async with TestEngine.open([Undone]) as engine:
        order = await engine.create(Undone, id="a")
        await engine.run_until_idle()
        first, trace = await _spans(engine, "undone")
        await engine.advance("1 minute")
        await order.restart()
        await engine.run_until_idle()
        second, same = await _spans(engine, "undone")

    assert trace == same
    assert {span.span_id for span in first} & {span.span_id for span in second} == set()
    assert (second[0].start - first[0].start, len(second)) == (60_000, 7)


async def test_what_had_not_ended_ends_with_the_instance() -> None:
    """A sleep that was cut off is no longer than its instance was."""
    async with TestEngine.open([Order]) as engine:
        order = await engine.create(Order, id="a")
        await engine.advance("10 minutes")
        await order.terminate()
        spans, _ = await _spans(engine, "order")

    assert _tree(spans)[-1] == ("rest", "order", 2, 600)
    assert spans[0].attributes["stepwell.instance.status"] == "terminated"


def test_nothing_of_opentelemetry_is_loaded_for_it() -> None:
    """A server that sends nothing, and every worker of it, are spared its time and its memory."""
    loaded = "[name for name in sys.modules if name.startswith('opentelemetry')]"
    program = f"import sys, stepwell.hosting, stepwell.worker_process; print({loaded})"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"


TOKENS = "gen_ai.usage.input_tokens"


class Asking(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("think", config={"retries": {"limit": 1, "delay": 0}})
        async def think(ctx):
            ctx.set_attributes({TOKENS: 10 * ctx.attempt, "stepwell.step.name": "mine", "cost": 0.5})
            if ctx.attempt == 1:
                raise ValueError("429")

        await think()


async def test_attributes_of_an_attempt_are_those_of_its_span() -> None:
    """By the author's names, but where they are ours; a step's span has none, so that nothing is counted twice."""
    async with TestEngine.open([Asking]) as engine:
        await engine.create(Asking, id="a")
        await engine.run_until_idle()

        spans, _ = await _spans(engine, "asking")

    told = [(span.name, span.attributes.get(TOKENS), span.attributes.get("cost")) for span in spans]
    assert told == [
        ("asking", None, None),
        ("think", None, None),
        ("think attempt", 10, 0.5),
        ("think attempt", 20, 0.5),
    ]
    assert {span.attributes["stepwell.step.name"] for span in spans[1:]} == {"think"}
