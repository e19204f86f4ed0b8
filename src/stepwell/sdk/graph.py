"""The graph of a version's code: nodes by type, and nodes in nodes.

Source: developers.cloudflare.com/api/resources/workflows/subresources/versions/methods/graph/
"""

from datetime import datetime
from typing import Any, Union

from msgspec import Struct, field

Nodes = list["Node"]
Duration = int | float | str


class NodeRetries(Struct, frozen=True, kw_only=True):
    """How often a step is tried again."""

    limit: int | float | str | None = None
    delay: Duration | None = None
    backoff: str | None = None


class NodeConfig(Struct, frozen=True, kw_only=True):
    """Retries and time-out of a step."""

    retries: NodeRetries | None = None
    timeout: Duration | None = None


class EventOptions(Struct, frozen=True, kw_only=True):
    """What a wait waits for, and how long."""

    event_type: str
    timeout: Duration | None = None


class StepDoNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="step_do"):
    """A `step.do`; `nodes` are the calls in its body. `starts` and `resolves` number what is awaited elsewhere."""

    name: str
    config: NodeConfig | None = None
    nodes: Nodes = field(default_factory=list)
    starts: int | None = None
    resolves: int | None = None


class StepSleepNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="step_sleep"):
    """A `step.sleep`."""

    name: str
    duration: Duration | None = None
    starts: int | None = None
    resolves: int | None = None


class StepSleepUntilNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="step_sleep_until"):
    """A `step.sleep_until`."""

    name: str
    timestamp: str | None = None
    starts: int | None = None
    resolves: int | None = None


class StepWaitNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="step_wait_for_event"):
    """A `step.wait_for_event`."""

    name: str
    options: EventOptions | None = None
    starts: int | None = None
    resolves: int | None = None


class LoopNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="loop"):
    """What is done again and again."""

    nodes: Nodes = field(default_factory=list)


class ParallelNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="parallel"):
    """What is done at the same time; `kind` is `all`, `any`, `all_settled` or `race`."""

    kind: str
    nodes: Nodes = field(default_factory=list)


class BlockNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="block"):
    """What is done one after the other."""

    nodes: Nodes = field(default_factory=list)


class TryNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="try"):
    """A try statement."""

    try_block: BlockNode | None = None
    catch_block: BlockNode | None = None
    finally_block: BlockNode | None = None


class Branch(Struct, frozen=True, kw_only=True):
    """A branch; without a condition it is what is done otherwise."""

    condition: str | None = None
    nodes: Nodes = field(default_factory=list)


class IfNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="if"):
    """An if statement."""

    branches: list[Branch] = field(default_factory=list)


class SwitchNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="switch"):
    """A match statement."""

    discriminant: str
    branches: list[Branch] = field(default_factory=list)


class FunctionCallNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function that makes steps."""

    name: str
    starts: int | None = None
    resolves: int | None = None


class FunctionDefNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_def"):
    """A function that makes steps."""

    name: str
    nodes: Nodes = field(default_factory=list)


class BreakNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="break"):
    """A way out of a loop, or of the run: `break` or `return`."""

    kind: str


class UnknownNode(Struct, frozen=True, kw_only=True, tag_field="type", tag="unknown"):
    """A node of a type that this client does not know; `given` is the node as it came."""

    given: dict[str, Any] = field(default_factory=dict)


Node = Union[  # noqa: UP007  # the name stands in texts above, which `|` would need as types
    StepDoNode,
    StepSleepNode,
    StepSleepUntilNode,
    StepWaitNode,
    LoopNode,
    ParallelNode,
    BlockNode,
    TryNode,
    IfNode,
    SwitchNode,
    FunctionCallNode,
    FunctionDefNode,
    BreakNode,
    UnknownNode,
]


class GraphWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow's class: the nodes of its `run`, and the functions that these call."""

    class_name: str
    functions: dict[str, FunctionDefNode] = field(default_factory=dict)
    nodes: Nodes = field(default_factory=list)


class WorkflowGraph(Struct, frozen=True, kw_only=True):
    """The graph of a version's code."""

    workflow: GraphWorkflow
    version: int = 1


class VersionGraph(Struct, frozen=True, kw_only=True):
    """A version with its graph; None: the code could not be read."""

    id: str
    class_name: str
    created_on: datetime
    modified_on: datetime
    workflow_id: str
    graph: WorkflowGraph | None = None
