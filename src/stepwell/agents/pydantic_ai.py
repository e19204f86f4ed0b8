"""Durable agents of Pydantic AI: attach `StepwellDurability` to an agent, and run it in a workflow.

    agent = Agent("openai:gpt-5", name="weather", capabilities=[StepwellDurability()])

    class Weather(WorkflowEntrypoint):
        async def run(self, event, step):
            return (await agent.run(event["payload"]["question"])).output

Each request to the model is a step, and so is each call of a tool; outside of a workflow the agent is as it was. The
results are recorded as the library's own JSON, so that they can be read, and replays get them back as its classes.

Source: pydantic.dev/docs/ai/capabilities/durable_execution/backends/
"""

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid5
from weakref import WeakKeyDictionary

from genai_prices import Usage
from pydantic import JsonValue
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.capabilities.abstract import WrapRunHandler
from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    CallableOperationBackend,
    CapabilityOperationId,
    DurabilityEngineSpec,
    DurableOperationId,
    EventStreamHandlerId,
    ExternalEventError,
    ExternalEventWaiter,
    JournalOperationNamer,
    ModelCancelSuspendedResponseId,
    ModelCompactMessagesId,
    ModelRequestId,
    RoleBasedOperationConfig,
    ToolsetCallToolId,
    ToolsetGetInstructionsId,
    ToolsetGetToolsId,
    ToolsetValidateToolArgumentsId,
    conversation_id_from_run_id,
    external_event_scope,
    record_durable_unit,
    replay_scope,
)
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import (
    AgentStreamEvent,
    ModelMessagesTypeAdapter,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import Model
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import AgentDepsT, RunContext

from stepwell.agents.costs import Cost, take_note
from stepwell.agents.shared import StepPolicy, current_port, policy_of, refusal, run_step, speak
from stepwell.contexts import StepContext
from stepwell.errors import NonRetryableError, StepFailed, WorkflowTimeoutError
from stepwell.port import TurnPort

# As what the errors of a request to a model come back that have ended its step.
_GIVEN_UP = (NonRetryableError, StepFailed, WorkflowTimeoutError)

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_NO_LIMIT_OF_TIME = "365 days"
_RUNS = UUID("6f1f5c0e-5a2c-4b57-9d0b-0f6d1f0f7a55")


def _unstorable(error: Exception) -> BaseException:
    return NonRetryableError(f"A result of the agent is no JSON: {error}", type(error).__name__)


class StepwellDurability(BaseDurabilityCapability[AgentDepsT]):
    """Makes an agent durable where it runs in a workflow: model requests and tool calls become steps.

    `model` and `tool` are the configs of these steps, as `step.do` takes them; `"limit"` in one names the limit that
    the steps share, such as one for a model. A tool has a config of its own in its metadata:
    `Tool(search, metadata={"stepwell": {"timeout": "1 hour"}})`, or False for one that is no step. `live`: the model is
    asked to stream, and what it says is in the instance's log while it says it. `cost` returns what an answer costs in
    USD, by the model's name and a `genai_prices.Usage`, or None: then the public price is taken. `models` and
    `event_stream_handler` are those of Pydantic AI's own engines; the handler runs in the step that it hears of.
    """

    engine_spec = DurabilityEngineSpec(
        engine_name="Stepwell",
        durable_unit_noun="step",
        durable_container_noun="workflow",
        codec=JSON_CODEC,
        serialization_failure=_unstorable,
        # What a step has opened ends with it, so each opens a server for itself.
        toolset_lifecycles={"function": "enter-always", "mcp": "enter-never", "dynamic": "enter-never"},
        unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
        tool_config_key="stepwell",
    )

    def __init__(  # noqa: PLR0913  # its options, each by its name
        self,
        *,
        models: Mapping[str, Model] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
        model: Mapping[str, Any] | None = None,
        tool: Mapping[str, Any] | None = None,
        live: bool = False,
        cost: Cost | None = None,
    ) -> None:
        super().__init__(models=models, event_stream_handler=event_stream_handler, name=name)
        self._model_policy, self._tool_policy = policy_of(model), policy_of(tool)
        self._live, self._cost = live, cost

    @property
    def in_durable_context(self) -> bool:
        """Whether steps can be called here."""
        return current_port() is not None

    @property
    def has_wrap_run_event_stream(self) -> bool:
        """Whether models are asked to stream."""
        return self._live or super().has_wrap_run_event_stream

    def get_durable_operation_backend(self) -> "_Steps":
        """Return what makes steps of operations."""
        return _Steps(_Names(self.name, self.default_model_id), self._model_policy, self._tool_policy, self._cost)

    def get_default_run_id(self) -> str | None:
        """Return an id that each replay meets again; None where there is none, as in a step's body."""
        port = current_port()
        return None if port is None or len(port.places()) > 1 else _next_run_id(port)

    def get_default_conversation_id(self, run_id: str) -> str | None:
        """Return the id that a conversation gets which begins with a run."""
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    def get_model_settings(self) -> Callable[[RunContext[AgentDepsT]], ModelSettings]:
        """Return that clients do not try again what steps try again, unless somebody has said that they do."""
        return self._leave_retries_to_steps

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Let the run wait for events of the instance, and let replays leave no spans."""
        port = current_port()
        if port is None:
            return await super().wrap_run(ctx, handler=handler)
        with external_event_scope(_Events(self.name)), replay_scope():
            return await super().wrap_run(ctx, handler=handler)

    def _leave_retries_to_steps(self, ctx: RunContext[AgentDepsT]) -> ModelSettings:
        model: Any = ctx.model
        while isinstance(model, WrapperModel):
            model = model.wrapped
        is_said = "max_retries" in (ctx.model_settings or {})
        if is_said or not self.in_durable_context or "max_retries" in getattr(model, "unsupported_settings", ()):
            return ModelSettings()
        return ModelSettings(max_retries=0)

    def _model_stream_event_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        """Return who hears a model while it speaks."""
        handler = super()._model_stream_event_handler()
        return _speak if handler is None and self._live else handler


async def _speak(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for event in events:
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                speak(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                speak(text)
            case PartEndEvent(part=TextPart()):
                speak("\n")


_runs: WeakKeyDictionary[TurnPort, int] = WeakKeyDictionary()


def _next_run_id(port: TurnPort) -> str:
    """Return the id of the next run in an instance: they begin in the same order in each replay."""
    number = _runs[port] = _runs.get(port, 0) + 1
    return str(uuid5(_RUNS, f"{port.instance_key()}\0{number}"))


_WORK: dict[type, str] = {
    EventStreamHandlerId: "event",
    ModelCancelSuspendedResponseId: "cancel response",
    ModelCompactMessagesId: "compact messages",
    ModelRequestId: "model",
    ToolsetCallToolId: "tool",
    ToolsetValidateToolArgumentsId: "check arguments of",
}


class _Names(JournalOperationNamer):
    """What the steps of an agent are called: `weather: model`, `weather: tool search`."""

    def __init__(self, agent: str, default_model: str | None) -> None:
        super().__init__(agent)
        self._agent, self._default_model = agent, default_model

    def operation_name(self, operation_id: DurableOperationId) -> str:
        return f"{self._agent}: {self._work(operation_id)}"

    def invocation_name(self, operation_id: DurableOperationId, *, label: str | None) -> Any:
        name = f"{self.operation_name(operation_id)} {label}" if label else self.operation_name(operation_id)
        return replace(super().invocation_name(operation_id, label=label or ""), operation_name=name)

    def _work(self, operation_id: DurableOperationId) -> str:
        match operation_id:
            case ModelRequestId(model_id=str(model)) if model != self._default_model:
                return f"model {model}"
            case ToolsetGetToolsId(toolset_id=toolset):
                return f"tools of {toolset}"
            case ToolsetGetInstructionsId(toolset_id=toolset):
                return f"instructions of {toolset}"
            case CapabilityOperationId(capability_id=capability, operation=operation):
                return f"{capability} {operation}"
        # The library may have kinds that came later.
        kind: type = type(operation_id)
        return _WORK.get(kind, kind.__name__)


class _Steps(CallableOperationBackend[StepPolicy]):
    """Makes steps of an agent's operations."""

    def __init__(self, names: _Names, model: StepPolicy, tool: StepPolicy, cost: Cost | None) -> None:
        self._cost = cost
        plain = StepPolicy()

        def for_tool(_: DurableOperationId, called: Any, __: str) -> StepPolicy | Literal[False]:
            metadata = None if called is None else called.tool_def.metadata
            own = (metadata or {}).get("stepwell")
            return False if own is False else policy_of({**tool.config, **(own or {})}, tool.limit)

        config = RoleBasedOperationConfig(model=model, event=plain, capability=plain, tool=tool, resolve_tool=for_tool)
        super().__init__(namer=names, config=config)

    async def execute(
        self,
        *,
        operation_id: DurableOperationId,
        name: str,
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],  # noqa: ARG002  # results are found by place, not by what was asked
        config: StepPolicy,
    ) -> object:
        """Do an operation as a step, or return what it returned before."""
        has_run = False

        async def work(ctx: StepContext) -> object:
            nonlocal has_run
            has_run = True
            try:
                result = await body()
            except ModelAPIError as error:
                raise _refusal(error) from error
            if isinstance(operation_id, ModelRequestId):
                _take_note(ctx, result, self._cost)
            return result

        try:
            result: object = await run_step(name, work, config)
        except _GIVEN_UP as error:
            if isinstance(operation_id, ModelRequestId):
                # A fallback to another model is for this class, on replay as the first time.
                raise ModelAPIError(operation_id.model_name, str(error)) from error
            raise
        record_durable_unit(executed=has_run)
        return result


def _refusal(error: ModelAPIError) -> Exception:
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    return refusal(error, status, error.provider_error_code)


def _take_note(ctx: StepContext, response: Any, cost: Cost | None) -> None:
    def own(_: str | None, __: Usage) -> Decimal | None:
        """Return what the library reckons, or a gateway has said."""
        (answer,) = ModelMessagesTypeAdapter.validate_python([response])
        assert isinstance(answer, ModelResponse)
        if answer.usage.cost is not None:
            return answer.usage.cost
        try:
            return answer.cost().total_price if answer.model_name else None
        except (LookupError, ValueError):
            return None

    take_note(ctx, response["model_name"], response["usage"], (cost, own))


class _Events(ExternalEventWaiter):
    """Lets a run wait for an event of its instance; the token is the event's type."""

    def __init__(self, agent: str) -> None:
        self._agent = agent

    async def wait(
        self, name: str, *, ask: Callable[[str], Awaitable[JsonValue]], timeout: timedelta | None
    ) -> JsonValue:
        """Ask in a step; unless that has the answer, wait for the event. Raises ExternalEventError after the time."""
        port = current_port()
        assert port is not None

        async def asking(ctx: StepContext) -> JsonValue:
            event_type = f"{_UNFIT.sub('_', name)[:60]}-{ctx.idempotency_key}"
            return {"event_type": event_type, "answer": await ask(event_type)}

        asked = await run_step(f"{self._agent}: ask for {name}", asking, StepPolicy())
        if asked["answer"] is not None:
            answer: JsonValue = asked["answer"]
            return answer
        longest = _NO_LIMIT_OF_TIME if timeout is None else round(timeout.total_seconds() * 1000)
        try:
            event = await port.wait_for_event(f"{self._agent}: {name}", asked["event_type"], longest)
        except WorkflowTimeoutError as error:
            raise ExternalEventError(str(error)) from error
        payload: JsonValue = event["payload"]
        return payload
