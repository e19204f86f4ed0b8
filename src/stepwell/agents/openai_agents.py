"""Durable agents of OpenAI's Agents SDK: make one of an agent, and run it in a workflow with the SDK's own `Runner`.

    agent = durable(Agent(name="weather", model="gpt-5", tools=[weather]))

    class Weather(WorkflowEntrypoint):
        async def run(self, event, step):
            return (await Runner.run(agent, event["payload"]["question"])).final_output

Each request to the model is a step, and so is each call of a function tool, and what is asked of an MCP server; outside
of a workflow the agent is as it was. What the Runner does between steps is done again by a replay.

Source: openai.github.io/openai-agents-python/
"""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from agents import (
    Agent,
    AgentBase,
    FunctionTool,
    Handoff,
    ModelProvider,
    ModelResponse,
    MultiProvider,
    RunContextWrapper,
    Tool,
    Usage,
    set_tracing_disabled,
)
from agents.items import TResponseStreamEvent
from agents.mcp import MCPServer
from agents.models.interface import Model
from agents.retry import ModelRetrySettings
from agents.tool_context import ToolContext
from agents.usage import deserialize_usage, serialize_usage
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult
from mcp.types import Tool as MCPTool
from openai import APIStatusError
from openai.types.responses import Response, ResponseCompletedEvent, ResponseTextDeltaEvent, ResponseTextDoneEvent
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from stepwell.agents.costs import Cost, public_cost, take_note
from stepwell.agents.shared import StepPolicy, policy_of, refusal, run_step, speak
from stepwell.contexts import StepContext

_TOOLS = TypeAdapter(list[MCPTool])
_TOOL_RESULT = TypeAdapter(CallToolResult)
_PROMPTS = TypeAdapter(ListPromptsResult)
_PROMPT = TypeAdapter(GetPromptResult)

T = TypeVar("T")


def durable(  # noqa: PLR0913  # its options, each by its name
    agent: Agent[Any],
    *,
    provider: ModelProvider | None = None,
    model: Mapping[str, Any] | None = None,
    tool: Mapping[str, Any] | None = None,
    live: bool = False,
    cost: Cost | None = None,
    tracing: bool = False,
) -> Agent[Any]:
    """Return an agent whose requests and tool calls are steps where it runs in a workflow; so are its handoffs'.

    `model` and `tool` are the configs of these steps, as `step.do` takes them; `"limit"` in one names the limit that
    the steps share, such as one for a model. `provider` finds the models that have only a name. `live`: the model is
    asked to stream, and what it says is in the instance's log while it says it. `cost` returns what an answer costs in
    USD, by the model's name and a `genai_prices.Usage`, or None: then the public price is taken. Unless `tracing` is
    asked for, the SDK's traces are switched off, for all agents of the process: it sends them to OpenAI.
    """
    if not tracing:
        set_tracing_disabled(disabled=True)
    return _Making(provider or MultiProvider(), policy_of(model), policy_of(tool), live, cost).of(agent)


def mcp_server(make: Callable[[], MCPServer], **options: Any) -> MCPServer:
    """Return an MCP server for a durable agent: what it is asked is asked in steps, each of which has a connection.

    `make` returns the SDK's own, not connected: `mcp_server(lambda: MCPServerStdio(params))`. `options` are what
    `MCPServer` takes, such as `require_approval`; the server that is made need not say them.
    """
    return _DurableServer(make, options)


@dataclass
class _Making:
    """Makes durable agents of those that hand off to each other, each once."""

    provider: ModelProvider
    model: StepPolicy
    tool: StepPolicy
    live: bool
    cost: Cost | None
    _made: dict[int, Agent[Any]] = field(default_factory=dict)

    def of(self, agent: Agent[Any]) -> Agent[Any]:
        if isinstance(agent.model, _DurableModel):
            return agent
        if id(agent) in self._made:
            return self._made[id(agent)]
        for server in agent.mcp_servers:
            if not isinstance(server, _DurableServer):
                raise TypeError(f"agent {agent.name!r}: make the MCP server {server.name!r} durable with `mcp_server`")
        settings = agent.model_settings
        made = self._made[id(agent)] = agent.clone(
            model=_DurableModel(agent, self),
            # Clients do not try again what steps try again.
            model_settings=replace(settings, retry=settings.retry or ModelRetrySettings(max_retries=0)),
            tools=[self._tool_of(agent, tool) for tool in agent.tools],
            handoffs=[],
        )
        # Behind it: they may lead back to this one.
        made.handoffs = [self._handoff_of(target) for target in agent.handoffs]
        return made

    def _handoff_of(self, target: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | Handoff[Any, Any]:
        if isinstance(target, Agent):
            return self.of(target)
        hand_off = target.on_invoke_handoff

        async def on_invoke_handoff(ctx: RunContextWrapper[Any], arguments: str) -> Any:
            return self.of(await hand_off(ctx, arguments))

        made = copy.copy(target)
        made.on_invoke_handoff = on_invoke_handoff
        return made

    def _tool_of(self, agent: Agent[Any], tool: Tool) -> Tool:
        if not isinstance(tool, FunctionTool):
            return tool
        invoke = tool.on_invoke_tool

        async def on_invoke_tool(ctx: ToolContext[Any], arguments: str) -> Any:
            async def work(_: StepContext) -> Any:
                return _as_output(tool, await invoke(ctx, arguments))

            return await run_step(f"{agent.name}: tool {tool.name}", work, self.tool)

        made = copy.copy(tool)
        made.on_invoke_tool = on_invoke_tool
        return made


def _as_output(tool: FunctionTool, result: Any) -> Any:
    """Return a tool's result as JSON from which the SDK makes what it would have made of the result."""
    plain = to_jsonable_python(result, fallback=str)
    parts = plain if isinstance(plain, list) and plain else [plain]
    is_structured = all(isinstance(part, dict) and "type" in part for part in parts)
    return plain if plain == result or is_structured or tool.output_json_schema else str(result)


class _DurableModel(Model):
    """A model whose requests are steps of an agent."""

    def __init__(self, agent: Agent[Any], making: _Making) -> None:
        self._step, self._named, self._made_by = f"{agent.name}: model", agent.model, making

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Ask the model in a step, or return what it answered before."""

        async def ask(model: Model) -> Any:
            if self._made_by.live:
                return _pack(_from_stream(await self._streamed(model.stream_response(*args, **kwargs))))
            return _pack(await model.get_response(*args, **kwargs))

        return _unpack(await self._asked(ask))

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Ask the model in a step, in which it streams; what comes of that is its answer as a whole."""

        async def ask(model: Model) -> Any:
            return _dump(await self._streamed(model.stream_response(*args, **kwargs)))

        response = Response.model_construct(**await self._asked(ask))
        yield ResponseCompletedEvent(response=response, sequence_number=0, type="response.completed")

    async def _asked(self, ask: Callable[[Model], Awaitable[Any]]) -> Any:
        async def work(ctx: StepContext) -> Any:
            model = self._named if isinstance(self._named, Model) else self._made_by.provider.get_model(self._named)
            try:
                answer = await ask(model)
            except APIStatusError as error:
                raise refusal(error, error.status_code, error.code) from error
            name = answer.get("model") or _name_of(model, self._named)
            take_note(ctx, name, _usage_of(answer["usage"] or {}), (self._made_by.cost, public_cost))
            return answer

        return await run_step(self._step, work, self._made_by.model)

    async def _streamed(self, events: AsyncIterator[TResponseStreamEvent]) -> Response:
        response = None
        async for event in events:
            match event:
                case ResponseTextDeltaEvent(delta=text) if self._made_by.live:
                    speak(text)
                case ResponseTextDoneEvent() if self._made_by.live:
                    speak("\n")
                case ResponseCompletedEvent(response=whole):
                    response = whole
        if response is None:
            raise ConnectionError("The model's stream has ended before its answer was whole.")
        return response


def _name_of(model: Model, named: str | Model | None) -> str | None:
    """Return what a model is called by its provider; where the model does not say, as the agent calls it."""
    name = getattr(model, "model", named)
    return name if isinstance(name, str) else None


def _usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer took, by the names that prices go by."""
    details = usage.get("input_tokens_details") or {}
    # A list as the SDK writes it down, an object as a provider says it, who may say what he likes.
    details = details[0] if isinstance(details, list) else details
    cached = details if isinstance(details, dict) else {}
    return {
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
        "cache_read_tokens": cached.get("cached_tokens"),
        "cache_write_tokens": cached.get("cache_write_tokens"),
    }


def _dump(part: Any) -> Any:
    """Return a part of an answer as JSON, with what the provider has said alone: a null is not nothing."""
    return part.model_dump(mode="json", exclude_unset=True, warnings=False)


def _pack(response: ModelResponse) -> dict[str, Any]:
    return {
        "output": [_dump(item) for item in response.output],
        "usage": serialize_usage(response.usage),
        "response_id": response.response_id,
        "request_id": response.request_id,
        "raw_usage": response.raw_usage,
    }


def _unpack(packed: Mapping[str, Any]) -> ModelResponse:
    # As the client makes them of what comes: providers say what its types do not allow.
    output = Response.model_construct(output=packed["output"]).output
    return ModelResponse(**{**packed, "output": output, "usage": deserialize_usage(packed["usage"])})


def _from_stream(response: Response) -> ModelResponse:
    usage = Usage(requests=1)
    if (told := response.usage) is not None:
        amounts = ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
        usage = replace(usage, **{amount: getattr(told, amount) for amount in amounts})
    return ModelResponse(output=response.output, usage=usage, response_id=response.id)


class _DurableServer(MCPServer):
    """An MCP server that a step connects to, asks and leaves."""

    def __init__(self, make: Callable[[], MCPServer], options: Mapping[str, Any]) -> None:
        super().__init__(**options)
        self._make, self._name = make, make().name

    @property
    def name(self) -> str:
        """The server's own name."""
        return self._name

    async def connect(self) -> None:
        """Do nothing: steps connect."""

    async def cleanup(self) -> None:
        """Do nothing: nothing is left open."""

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: AgentBase | None = None
    ) -> list[MCPTool]:
        """Ask for the server's tools."""
        return await self._asked("tools", lambda server: server.list_tools(run_context, agent), _TOOLS)

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """Call a tool."""
        work = f"tool {tool_name}"
        return await self._asked(work, lambda server: server.call_tool(tool_name, arguments, meta), _TOOL_RESULT)

    async def list_prompts(self) -> ListPromptsResult:
        """Ask for the server's prompts."""
        return await self._asked("prompts", lambda server: server.list_prompts(), _PROMPTS)

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> GetPromptResult:
        """Ask for a prompt."""
        return await self._asked(f"prompt {name}", lambda server: server.get_prompt(name, arguments), _PROMPT)

    async def _asked(self, what: str, ask: Callable[[MCPServer], Awaitable[T]], adapter: TypeAdapter[T]) -> T:
        async def work(_: StepContext) -> Any:
            server = self._make()
            await server.connect()  # type: ignore[no-untyped-call]  # the SDK has not typed it
            try:
                return adapter.dump_python(await ask(server), mode="json", by_alias=True)
            finally:
                await server.cleanup()  # type: ignore[no-untyped-call]  # as above

        return adapter.validate_python(await run_step(f"{self._name}: {what}", work, StepPolicy()))
