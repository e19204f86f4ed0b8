"""The graph of a version in Cloudflare's spelling, member by member; nothing of ours is among them.

A member that is UNSET is left out. Nodes within nodes are of the same types.

Source: developers.cloudflare.com/api/resources/workflows/subresources/versions/methods/graph/
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Duration = int | float | str
# Nodes within a node. They are not described once more: the description would never end.
Nodes = list[Any]


class JsonShape(Struct):
    """What is known of a JSON value: an object with these members, or nothing."""

    type: Literal["object", "unknown"]
    fields: dict[str, Any] | UnsetType = UNSET


class NodeRetries(Struct):
    """How often a step is tried again."""

    limit: int
    delay: Duration
    backoff: Literal["constant", "linear", "exponential"]


class NodeConfig(Struct):
    """Retries and timeout of a step."""

    retries: NodeRetries
    timeout: Duration


class NodeEventOptions(Struct):
    """What a wait waits for."""

    event_type: str
    timeout: Duration


class StepDoNode(Struct, tag_field="type", tag="step_do"):
    """A `step.do`; `nodes` are the calls in its body."""

    name: str
    config: NodeConfig
    nodes: Nodes
    starts: int | UnsetType = UNSET
    resolves: int | UnsetType = UNSET


class StepSleepNode(Struct, tag_field="type", tag="step_sleep"):
    """A `step.sleep`."""

    name: str
    duration: Duration
    starts: int | UnsetType = UNSET
    resolves: int | UnsetType = UNSET


class StepSleepUntilNode(Struct, tag_field="type", tag="step_sleep_until"):
    """A `step.sleep_until`."""

    name: str
    timestamp: str
    starts: int | UnsetType = UNSET
    resolves: int | UnsetType = UNSET


class StepWaitNode(Struct, tag_field="type", tag="step_wait_for_event"):
    """A `step.wait_for_event`."""

    name: str
    options: NodeEventOptions | None
    payload: JsonShape | UnsetType = UNSET
    starts: int | UnsetType = UNSET
    resolves: int | UnsetType = UNSET


class LoopNode(Struct, tag_field="type", tag="loop"):
    """What is done again and again."""

    nodes: Nodes


class ParallelNode(Struct, tag_field="type", tag="parallel"):
    """What is done at the same time."""

    kind: Literal["all", "any", "all_settled", "race"]
    nodes: Nodes


class BlockNode(Struct, tag_field="type", tag="block"):
    """What is done one after the other."""

    nodes: Nodes


class TryNode(Struct, tag_field="type", tag="try"):
    """A try statement."""

    try_block: BlockNode | None
    catch_block: BlockNode | None
    finally_block: BlockNode | None


class NodeBranch(Struct):
    """A branch; without a condition it is what is done otherwise."""

    condition: str | None
    nodes: Nodes


class IfNode(Struct, tag_field="type", tag="if"):
    """An if statement."""

    branches: list[NodeBranch]


class SwitchNode(Struct, tag_field="type", tag="switch"):
    """A match statement."""

    discriminant: str
    branches: list[NodeBranch]


class FunctionCallNode(Struct, tag_field="type", tag="function_call"):
    """A call of a function that makes steps."""

    name: str
    starts: int | UnsetType = UNSET
    resolves: int | UnsetType = UNSET


class FunctionDefNode(Struct, tag_field="type", tag="function_def"):
    """A function that makes steps."""

    name: str
    nodes: Nodes


class BreakNode(Struct, tag_field="type", tag="break"):
    """A way out of a loop, or of the run."""

    kind: Literal["break", "return"]


GraphNode = (
    StepDoNode
    | StepSleepNode
    | StepSleepUntilNode
    | StepWaitNode
    | LoopNode
    | ParallelNode
    | BlockNode
    | TryNode
    | IfNode
    | SwitchNode
    | FunctionCallNode
    | FunctionDefNode
    | BreakNode
)


class GraphWorkflow(Struct):
    """A workflow's class: the nodes of its `run`, and the functions that these call."""

    class_name: str
    functions: dict[str, FunctionDefNode]
    nodes: list[GraphNode]
    payload: JsonShape | UnsetType = UNSET


class WorkflowGraph(Struct):
    """The graph of a version's code."""

    workflow: GraphWorkflow
    version: int = 1
