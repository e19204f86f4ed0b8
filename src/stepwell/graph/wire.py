"""A graph as Cloudflare's API has it: its members and no others."""

from collections.abc import Mapping
from typing import Any

import msgspec

from stepwell import graph_models
from stepwell.graph import nodes

_KINDS: Mapping[type[msgspec.Struct], type[msgspec.Struct]] = {
    nodes.StepDo: graph_models.StepDoNode,
    nodes.StepSleep: graph_models.StepSleepNode,
    nodes.StepSleepUntil: graph_models.StepSleepUntilNode,
    nodes.StepWait: graph_models.StepWaitNode,
    nodes.Loop: graph_models.LoopNode,
    nodes.Parallel: graph_models.ParallelNode,
    nodes.Block: graph_models.BlockNode,
    nodes.Try: graph_models.TryNode,
    nodes.If: graph_models.IfNode,
    nodes.Switch: graph_models.SwitchNode,
    nodes.FunctionCall: graph_models.FunctionCallNode,
    nodes.FunctionDef: graph_models.FunctionDefNode,
    nodes.Break: graph_models.BreakNode,
    nodes.Branch: graph_models.NodeBranch,
    nodes.Config: graph_models.NodeConfig,
    nodes.Retries: graph_models.NodeRetries,
    nodes.EventOptions: graph_models.NodeEventOptions,
    nodes.Shape: graph_models.JsonShape,
    nodes.Graph: graph_models.GraphWorkflow,
}


def to_cloudflare(graph: nodes.Graph) -> graph_models.WorkflowGraph:
    """Return a graph in Cloudflare's form."""
    workflow: graph_models.GraphWorkflow = _converted(graph)
    return graph_models.WorkflowGraph(workflow)


def _converted(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_converted(one) for one in value]
    if isinstance(value, dict):
        return {name: _converted(one) for name, one in value.items()}
    kind = _KINDS.get(type(value))
    if kind is None:
        return value
    its = {field.name: _converted(getattr(value, field.name)) for field in msgspec.structs.fields(kind)}
    optional = {field.name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    return kind(**{name: one for name, one in its.items() if one is not None or name not in optional})
