"""What type checkers know of the clients; a line that they have to refuse ends with `# error`."""

from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from typing import assert_never, assert_type

from stepwell import AsyncClient, Client
from stepwell.sdk.graph import VersionGraph
from stepwell.sdk.models import (
    CreatedInstance,
    EventReceipt,
    Instance,
    InstanceEvent,
    ListedInstance,
    RollbackStep,
    Sleep,
    Step,
    StepState,
    Termination,
    UnknownEntry,
    Version,
    Wait,
    Workflow,
)
from stepwell.sdk.own_models import FoundInstance, Job


def blocks(client: Client) -> None:
    """Each method gives its result."""
    instances = client.workflows.instances
    assert_type(instances.get("order", "abc", order="desc", simple=True), Instance)
    assert_type(instances.create("order", params={"a": 1}, instance_id="abc"), CreatedInstance)
    assert_type(instances.create_batch("order", [{"instance_id": "a", "params": 1}]), list[CreatedInstance])
    assert_type(instances.send_event("order", "abc", "approved", {"by": "ann"}), EventReceipt)
    assert_type(instances.list("order", status="running"), Generator[ListedInstance, None, None])
    assert_type(instances.subscribe("order", "abc"), Generator[InstanceEvent, None, None])
    assert_type(instances.step("order", "abc", "charge-1", "step"), StepState)
    assert_type(instances.step_output("order", "abc", "film-1"), Generator[bytes, None, None])
    assert_type(instances.wait("order", "abc", timeout=5).status, str)
    assert_type(client.workflows.get("order"), Workflow)
    assert_type(client.workflows.versions.graph("order", "v"), VersionGraph)
    assert_type(client.stepwell.instances.search(None, {"status": ["errored"]}), Generator[FoundInstance, None, None])
    assert_type(client.stepwell.jobs.start("pause", "order", {"prefix": "a"}), Job)

    instances.get("order")  # error
    instances.get("order", "abc", order="sideways")  # error
    instances.get("order", "abc", sample=True)  # error
    instances.create_batch("order", [{"id": "a"}])  # error
    instances.restart("order", "abc", from_step={"name": "a", "type": "stepp"})  # error
    instances.step("order", "abc", "charge-1", "sleep")  # error
    instances.nothing("order")  # error
    client.stepwell.jobs.start("explode")  # error


async def awaits(client: AsyncClient) -> None:
    """Each method is awaited, and gives the same."""
    instances = client.workflows.instances
    assert_type(await instances.get("order", "abc"), Instance)
    assert_type(await instances.create("order"), CreatedInstance)
    assert_type(instances.list("order"), AsyncGenerator[ListedInstance, None])
    assert_type([event.type async for event in instances.subscribe("order", "abc")], list[str])
    assert_type(await client.workflows.versions.get("order", "v"), Version)

    instances.get("order", "abc").status  # error
    for _ in instances.list("order"):  # error
        pass


def entries(instance: Instance) -> str:
    """An entry is one of its types, and these are all."""
    assert_type(instance.end, datetime | None)
    for entry in instance.steps:
        match entry:
            case Step() | RollbackStep():
                return entry.attempts[0].error.message  # error
            case Sleep() | Wait():
                assert_type(entry.finished, bool)
            case Termination() | UnknownEntry():
                pass
            case _:
                assert_never(entry)
    return instance.status
