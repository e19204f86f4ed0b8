"""Traces of a real server, as a receiver gets them; what an author's step knows of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.server import DEADLINE_S, DevServer
from tests.traces.receiver import Receiver, receiving

SOURCE = """
from contextlib import suppress

from opentelemetry import trace

from stepwell import NonRetryableError, WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("charge", config={"retries": {"limit": 1, "delay": 0}})
        async def charge(ctx):
            if ctx.attempt == 1:
                raise ValueError("card declined")
            span = trace.get_current_span().get_span_context()
            return [ctx.traceparent, f"{span.trace_id:032x}-{span.span_id:016x}"]

        @step.do("pack")
        def pack(ctx):
            span = trace.get_current_span().get_span_context()
            return [ctx.traceparent, f"{span.trace_id:032x}-{span.span_id:016x}"]

        known = [await charge(), await pack()]
        await step.sleep("rest", 5)
        await step.child("bill", self.env.BILL, {"secret": "params-are-secret"})
        return known


class Bill(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("pay", config={"sensitive": "output"})
        async def pay():
            raise NonRetryableError("password-is-hunter2")

        with suppress(NonRetryableError):
            await pay()
        return "result-is-secret"
"""
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=opaque"}
UNWANTED = {"traceparent": f"00-{'c' * 32}-{SPAN}-00"}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """What gets the spans of the servers of this test."""
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        yield receiver


def create(server: DevServer, id: str, headers: dict[str, str], path: str = "client/v4/accounts/local") -> None:
    """Create an order within somebody's span, or nobody's."""
    url = f"{server.url}/{path}/workflows/order/instances"
    httpx.post(url, json={"instance_id": id}, headers=headers, timeout=DEADLINE_S).raise_for_status()


def output_of(server: DevServer, id: str) -> Any:
    """Return what a completed order has returned."""
    return server.wait_for_status("order", id, "complete")["output"]


def test_instance_continues_its_callers_trace(tmp_path: Path, receiver: Receiver) -> None:
    """Steps, attempts, sleeps and waits are spans below the caller's; a step knows its own before it is sent."""
    (tmp_path / "flows.py").write_text(SOURCE)

    with DevServer(tmp_path) as server:
        create(server, "a", CALLER)
        create(server, "none", UNWANTED)
        known = output_of(server, "a")
        server.wait_for_status("order", "none", "complete")
        receiver.wait_for(lambda: len({span.name for span in receiver.spans}) == 10)
        server.terminate()

    root, charge, pack = (receiver.named(name) for name in ("order", "charge", "pack"))
    assert (root.trace_id, root.parent_id, root.state) == (TRACE, SPAN, "vendor=opaque")
    assert root.attributes == {
        "stepwell.workflow.name": "order",
        "stepwell.workflow.version": root.attributes["stepwell.workflow.version"],
        "stepwell.instance.id": "a",
        "stepwell.instance.status": "complete",
        "stepwell.instance.trigger": "api",
    }
    assert {charge.parent_id, pack.parent_id, receiver.named("rest").parent_id} == {root.span_id}
    failed, succeeded = (span for span in receiver.spans if span.name == "charge attempt")
    assert (failed.parent_id, failed.error, failed.attributes["error.type"]) == (
        charge.span_id,
        "card declined",
        "ValueError",
    )
    assert (charge.error, charge.attributes["stepwell.step.attempts"]) == (None, 2)
    for span, (traceparent, current) in zip(
        (succeeded, receiver.named("pack attempt")), json.loads(known), strict=True
    ):
        assert traceparent == f"00-{TRACE}-{span.span_id}-01"
        assert current == f"{TRACE}-{span.span_id}"
    assert all(span.start <= span.end <= root.end for span in receiver.spans if span.trace_id == TRACE)
    # Whom the caller does not keep is not kept here, nor is a child of it.
    assert {span.attributes.get("stepwell.instance.id") for span in receiver.spans if span.name == "order"} == {"a"}
    assert "c" * 32 not in {span.trace_id for span in receiver.spans}
    _check_child(receiver)
    assert receiver.resources[0].items() >= {"service.name": "shop", "deployment.environment.name": "test"}.items()


def _check_child(receiver: Receiver) -> None:
    """A child has a trace of its own, linked to the attempt that started it; nothing of it is secret."""
    by_id = {span.span_id: span for span in receiver.spans}
    root = next(span for span in receiver.spans if span.attributes.get("stepwell.workflow.name") == "bill")
    ((trace_id, span_id),) = root.links
    pay = receiver.named("pay")

    assert (root.parent_id, trace_id, by_id[span_id].name) == ("", TRACE, "bill attempt")
    assert (pay.trace_id, pay.parent_id) == (root.trace_id, root.span_id)
    assert (pay.error, pay.attributes["error.type"]) == ("NonRetryableError", "NonRetryableError")
    told = repr(receiver.spans)
    assert [word for word in ("params-are-secret", "hunter2", "result-is-secret") if word in told] == []
