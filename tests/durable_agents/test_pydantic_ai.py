"""Agents of Pydantic AI in workflows: what is recorded, what a crash costs, and how refusals are borne."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stepwell import Flow, SharedLimit, WorkflowEntrypoint, capture
from stepwell.errors import Diverged
from stepwell.testing import ACCOUNT, REPLAYS_ALWAYS, TestEngine
from stepwell.testing.plugin import EngineFactory
from tests.durable_agents.conftest import ANSWER, attempts_of, notes_of, steps_of
from tests.durable_agents.guides import Tests, guide_tests, run_all
from tests.durable_agents.model_server import Asked, Call, ModelServer, Refusal, Text, by_place, in_order
from tests.engine.ways import Job, Sending, every_way


async def test_requests_and_tool_calls_are_steps(server: ModelServer, client: Any) -> None:
    """Each request to the model, with what it took, and each call of a tool is a step, in the order of the calls."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of, running

    workflow = running(agent_of(client))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)
        output = await instance.wait_for_output()

        assert output == ANSWER
        assert await steps_of(instance) == [
            "weather: model-1",
            "weather: tool weather-1",
            "weather: tool weather-2",
            "weather: model-2",
        ]
        assert await notes_of(instance) == [
            {
                "gen_ai.response.model": "gpt-5",
                "gen_ai.usage.input_tokens": 4,
                "gen_ai.usage.output_tokens": 6,
                "cost_usd": 6.5e-05,
            },
            {
                "gen_ai.response.model": "gpt-5",
                "gen_ai.usage.input_tokens": 6,
                "gen_ai.usage.output_tokens": 6,
                "cost_usd": 6.75e-05,
            },
        ]


async def test_cost_that_a_gateway_has_told_is_taken() -> None:
    """It knows what it asks for; the author knows better."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart
    from pydantic_ai.models.function import FunctionModel
    from pydantic_ai.usage import RequestUsage

    from stepwell.agents.pydantic_ai import StepwellDurability
    from tests.durable_agents.weather_of_pydantic_ai import running

    def answer(*_: Any) -> ModelResponse:
        usage = RequestUsage(input_tokens=1, output_tokens=1, cost=Decimal("0.0038"))
        return ModelResponse([TextPart("sun")], usage=usage, model_name="gpt-5")

    found = []
    for cost in (None, lambda model, usage: 2):
        agent = Agent(FunctionModel(answer), name="weather", capabilities=[StepwellDurability(cost=cost)])
        workflow = running(agent)
        async with TestEngine.open([workflow]) as engine:
            instance = await engine.create(workflow)
            await instance.wait_for_output()
            found += [note["cost_usd"] for note in await notes_of(instance)]

    assert found == [0.0038, 2]


async def test_model_that_is_not_the_agents_own_is_in_the_name_of_its_step(server: ModelServer, client: Any) -> None:
    """Whether the agent's own is a name or a model; another one may have another answer."""
    from pydantic_ai import Agent

    from stepwell.agents.pydantic_ai import StepwellDurability
    from tests.durable_agents.weather_of_pydantic_ai import model_of

    agent = Agent("test", name="expert", capabilities=[StepwellDurability(models={"small": model_of(client)})])

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            return [(await agent.run("Graz?")).output, (await agent.run("Graz?", model="small")).output]

    server.model = in_order(Text("sun"))

    async with TestEngine.open([Weather]) as engine:
        instance = await engine.create(Weather)

        assert await instance.wait_for_output() == ["success (no tool calls)", "sun"]
        assert await steps_of(instance) == ["expert: model-1", "expert: model small-1"]


async def test_agent_outside_of_a_workflow_is_as_it_was(server: ModelServer, client: Any) -> None:
    """The same agent runs in a script or a test."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    result = await agent_of(client).run("How is the weather?")

    assert result.output == ANSWER


async def test_each_wait_is_a_replay_that_comes_to_the_same(server: ModelServer, client: Any) -> None:
    """Runs have ids that replays meet again, and parallel tools end in the order that is on record."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    agent = agent_of(client)
    ids: set[str] = set()

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            first = await agent.run("How is the weather?")
            second = await agent.run("And now?", message_history=first.all_messages())
            ids.update({first.run_id, second.run_id})
            return [second.output, len(second.all_messages())]

    async with TestEngine.open([Weather], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(Weather)

        assert await instance.wait_for_output() == [ANSWER, 6]
        assert len(ids) == 2
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Refusal(401, message="Incorrect API key"), id="wrong key"),
        pytest.param(Refusal(400, message="no such parameter"), id="wrong request"),
    ],
)
async def test_request_that_no_waiting_helps_is_made_once(server: ModelServer, client: Any, refusal: Refusal) -> None:
    """What the provider refuses for good fails at once, as an error of the library's on replay, too."""
    from pydantic_ai.exceptions import ModelAPIError

    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    server.model = in_order(refusal)
    agent = agent_of(client)

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            try:
                await agent.run("How is the weather?")
            except ModelAPIError as error:
                await step.sleep("replay", "1 hour")
                return [error.model_name, refusal.message in str(error)]

    output = await every_way(Job(Weather), crashes=False)

    assert output == ["gpt-5", True]
    assert len(server.asked) == 2  # once straight, once with a replay at each wait


async def test_fallback_takes_over_when_a_model_has_given_up(server: ModelServer, client: Any) -> None:
    """A model that refuses is tried as its config says; then the next one is asked, with a step of its own."""
    from pydantic_ai.capabilities import ModelFallback

    from tests.durable_agents.weather_of_pydantic_ai import agent_of, model_of, running

    server.model = lambda asked: Refusal(500) if asked.body["model"] == "gpt-5" else Text("fog")
    small = model_of(client, "small")
    once = {"retries": {"limit": 0, "delay": "1 second"}}
    workflow = running(agent_of(client, ModelFallback("small"), models={"small": small}, model=once))

    async with TestEngine.open([workflow], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "fog"
        assert await steps_of(instance) == ["weather: model-1", "weather: model small-1"]


async def test_tool_is_tried_again_or_tells_the_model_what_to_do_better(server: ModelServer, client: Any) -> None:
    """An error of a tool's is one of its step; a `ModelRetry` is an answer, which the model gets."""
    from pydantic_ai import Agent, ModelRetry

    from stepwell.agents import current_step
    from stepwell.agents.pydantic_ai import StepwellDurability
    from tests.durable_agents.weather_of_pydantic_ai import model_of, running

    server.model = by_place(Call("weather", {"town": "Gratz"}), Call("weather", {"town": "Graz"}), Text("sun"))
    agent = Agent(
        model_of(client),
        name="weather",
        capabilities=[StepwellDurability(tool={"retries": {"limit": 1, "delay": "3 seconds"}})],
    )
    keys: list[str] = []

    @agent.tool_plain
    def weather(town: str) -> str:
        ctx = current_step()
        assert ctx is not None
        keys.append(ctx.idempotency_key)
        if town == "Gratz":
            raise ModelRetry("there is no such town")
        if ctx.attempt == 1:
            raise ConnectionError("the station does not answer")
        return "sun"

    workflow = running(agent)

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "sun"
        assert await attempts_of(instance, "weather: tool weather-1") == 1
        assert await attempts_of(instance, "weather: tool weather-2") == 2
        assert keys[1] == keys[2] != keys[0]
        told = server.asked[1].messages[-1]
        assert "there is no such town" in told["content"]


async def test_agent_on_a_loop_of_its_own_is_as_it_was(server: ModelServer, client: Any) -> None:
    """In a thread that a step has started there are no steps, though it has the step's context."""
    from pydantic_ai import Agent

    from stepwell.agents.pydantic_ai import StepwellDurability

    agent = Agent("test", name="expert", capabilities=[StepwellDurability()])

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            @step.do
            async def ask():
                return (await asyncio.to_thread(lambda: asyncio.run(agent.run("Graz?")))).output

            return await ask()

    async with TestEngine.open([Weather]) as engine:
        instance = await engine.create(Weather)

        assert await instance.wait_for_output() == "success (no tool calls)"
        assert await steps_of(instance) == ["ask-1"]


async def test_person_approves_a_tool_days_later(server: ModelServer, client: Any) -> None:
    """A run that ends with a tool to be approved goes on with its messages when an event has brought the decision."""
    from pydantic_ai import DeferredToolRequests, DeferredToolResults

    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    server.model = by_place(Call("refund", {"cents": 4200}), Text("refunded"))
    agent = agent_of(client, output_type=[str, DeferredToolRequests])
    refunded: list[int] = []

    @agent.tool_plain(requires_approval=True)
    async def refund(cents: int) -> str:
        refunded.append(cents)
        return "done"

    class Refund(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            asked = await agent.run("I want my money back")
            (call,) = asked.output.approvals
            decision = await step.wait_for_event("approval", "approved", timeout="30 days")
            results = DeferredToolResults(approvals={call.tool_call_id: decision["payload"]["ok"]})
            ended = await agent.run(message_history=asked.all_messages(), deferred_tool_results=results)
            return ended.output

    output = await every_way(Job(Refund, sendings=[Sending("approved", {"ok": True}, is_late=True)]), crashes=False)

    assert output == "refunded"
    assert refunded == [4200, 4200]  # once straight, once with a replay at each wait
    assert len(server.asked) == 4


async def test_run_waits_for_an_event_of_the_instance(server: ModelServer, client: Any) -> None:
    """`RequestInput` hands out the type of the event that it waits for, once; the run goes on with what that says."""
    from pydantic_ai.capabilities import RequestInput

    from tests.durable_agents.weather_of_pydantic_ai import agent_of, running

    server.model = by_place(Call("refund", {"cents": 4200}), Text("refused"))
    asked: list[tuple[str, str]] = []

    async def ask(ctx: Any, requests: Any, token: str) -> None:
        asked.append((token, requests.approvals[0].tool_call_id))

    agent = agent_of(client, RequestInput(ask, timeout=timedelta(days=2)))

    @agent.tool_plain(requires_approval=True)
    async def refund(cents: int) -> str:
        raise AssertionError("nobody has approved it")

    workflow = running(agent)

    async with TestEngine.open([workflow], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(workflow)
        await engine.run_until_idle()
        ((token, call),) = asked
        await engine.advance("1 day")
        await instance.send_event(token, {"approvals": {call: {"kind": "tool-denied", "message": "too much"}}})

        assert await instance.wait_for_output() == "refused"
        assert server.asked[-1].messages[-1]["content"] == "too much"
        assert len(asked) == 1


async def test_run_that_nobody_answers_goes_on_without(server: ModelServer, client: Any) -> None:
    """After its time the wait is over, and the model is told that no decision came."""
    from pydantic_ai.capabilities import RequestInput

    from tests.durable_agents.weather_of_pydantic_ai import agent_of, running

    server.model = by_place(Call("refund", {"cents": 4200}), Text("later"))
    agent = agent_of(client, RequestInput(lambda *_: None, timeout=timedelta(days=2)))

    @agent.tool_plain(requires_approval=True)
    async def refund(cents: int) -> str:
        raise AssertionError("nobody has approved it")

    workflow = running(agent)

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "later"
        assert "No decision on this tool call arrived" in server.asked[-1].messages[-1]["content"]


async def test_requests_share_the_limit_that_they_name(server: ModelServer, client: Any) -> None:
    """`limit` in the model's config is that of its steps, for all instances."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of, running

    at_once: list[int] = []
    inside: list[int] = []

    def answer(_: Asked) -> Text:
        inside.append(1)
        at_once.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return Text("sun")

    # Not `server.model`, which is asked one question at a time.
    server.take = lambda asked: (1, answer(asked))  # type: ignore[method-assign]  # this server's alone
    workflow = running(agent_of(client, model={"limit": "gpt-5"}))
    workflow.flow = Flow(shared={"gpt-5": SharedLimit(1)})

    async with TestEngine.open([workflow]) as engine:
        instances = [await engine.create(workflow) for _ in range(3)]

        assert [await instance.wait_for_output() for instance in instances] == ["sun"] * 3
        assert at_once == [1, 1, 1]


async def test_what_a_model_says_is_in_the_log_while_it_says_it(server: ModelServer, client: Any) -> None:
    """With `live` the model streams, and each line is a line of the instance's log as soon as it is whole."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of, running

    server.model = in_order(Text("Sun in Graz.\nRain in Linz."))
    workflow = running(agent_of(client, live=True))

    capture.install()
    try:
        async with TestEngine.open([workflow]) as engine:
            instance = await engine.create(workflow)
            await instance.wait_for_output()
            page = await engine.engine.log(ACCOUNT, instance.workflow, instance.id, 0, 100)
    finally:
        capture.uninstall()

    assert server.asked[0].body["stream"] is True
    assert [(line.step, line.text) for line in page.lines] == [
        ("weather: model-1", "Sun in Graz."),
        ("weather: model-1", "Rain in Linz."),
    ]


async def test_typed_output_is_of_its_class(server: ModelServer, client: Any) -> None:
    """What a run returns has the type that the agent was given, on replay as the first time."""
    from pydantic import BaseModel

    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    class Sky(BaseModel):
        town: str
        degrees: float

    server.model = by_place(Call("final_result", {"town": "Graz", "degrees": 21}))
    agent = agent_of(client, output_type=Sky)

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            sky = (await agent.run("How is the weather?")).output
            await step.sleep("replay", "1 hour")
            return [type(sky).__name__, sky.degrees]

    assert await every_way(Job(Weather), crashes=False) == ["Sky", 21.0]


async def test_tools_that_no_step_knows_are_refused(server: ModelServer, client: Any) -> None:
    """Tools that a run brings along would not be recorded, so the run says so; outside of a workflow they are fine."""
    from pydantic_ai import FunctionToolset

    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    agent, brought = agent_of(client), FunctionToolset[None](id="brought")

    @brought.tool_plain
    def clock() -> str:
        return "noon"

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            return (await agent.run("How is the weather?", toolsets=[brought])).output

    async with TestEngine.open([Weather]) as engine:
        instance = await engine.create(Weather)
        await instance.wait_for_status("errored")

        error = await instance.error()
        assert error is not None
        assert error.name == "UserError"
        assert server.asked == []
    assert (await agent.run("How is the weather?", toolsets=[brought])).output == ANSWER


async def test_agent_of_another_name_diverges(server: ModelServer, client: Any) -> None:
    """The steps of an agent are found by its name: a history says so before anything is asked twice."""
    from tests.durable_agents.weather_of_pydantic_ai import agent_of

    agents = [agent_of(client), agent_of(client, name="forecast")]

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            agent = agents.pop(0)
            return (await agent.run("How is the weather?")).output

    async with TestEngine.open([Weather], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(Weather)

        with pytest.raises(Diverged, match="forecast: model"):
            await instance.wait_for_output()
        assert len(server.asked) == 1


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tests]:
    """Load what the guide shows, as modules of authors are loaded: on no loop."""
    with guide_tests("docs/guides/pydantic-ai.md", tmp_path, monkeypatch) as tests:
        yield tests


async def test_guide_shows_what_works(
    shown: Tests, monkeypatch: pytest.MonkeyPatch, stepwell_engine: EngineFactory
) -> None:
    """Its agents run in the tests that it shows, without a model."""
    ran = await run_all(shown, monkeypatch=monkeypatch, stepwell_engine=stepwell_engine)

    assert ran == ["test_agent_tells_what_its_tool_says", "test_refund_waits_for_a_person"]
