"""Agents of OpenAI's Agents SDK in workflows: what is recorded, what a crash costs, and how refusals are borne."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint, capture
from stepwell.errors import Diverged, NonRetryableError
from stepwell.testing import ACCOUNT, REPLAYS_ALWAYS, TestEngine
from stepwell.testing.plugin import EngineFactory
from tests.durable_agents.conftest import ANSWER, attempts_of, notes_of, output_of, steps_of
from tests.durable_agents.guides import Tests, guide_tests, run_all
from tests.durable_agents.model_server import Call, Calls, ModelServer, Refusal, Text, by_place, in_order
from tests.engine.ways import Job, Sending, every_way


@pytest.fixture
def station() -> Any:
    """Make a server of the Model Context Protocol, as modules of authors do."""
    from tests.durable_agents.weather_of_openai_agents import station

    return station()


def _asked(server: ModelServer) -> list[Any]:
    """Return what a server has been asked since the last time."""
    bodies = [asked.body for asked in server.asked]
    server.asked.clear()
    return bodies


async def test_requests_and_tool_calls_are_steps(server: ModelServer, client: Any) -> None:
    """Each request to the model, with what it took, and each call of a tool is a step, in the order of the calls."""
    from tests.durable_agents.weather_of_openai_agents import agent_of, running

    workflow = running(agent_of(client))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == ANSWER
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
                "gen_ai.usage.input_tokens": 16,
                "gen_ai.usage.output_tokens": 6,
                "cost_usd": 8e-05,
            },
        ]
        assert await output_of(instance, "weather: tool weather-2") == {"town": "Linz", "sky": "rain"}
        assert server.asked[1].messages[-1]["output"] == "{'town': 'Linz', 'sky': 'rain'}"


@pytest.mark.parametrize("way", ["name", "name of its provider's", "model"])
async def test_model_is_named_as_its_provider_names_it(server: ModelServer, client: Any, way: str) -> None:
    """However the agent has it: so its price is found."""
    from agents import Agent, MultiProvider, OpenAIResponsesModel

    from stepwell.agents.openai_agents import durable
    from tests.durable_agents.weather_of_openai_agents import running

    models: dict[str, Any] = {
        "name": "gpt-5",
        "name of its provider's": "openai/gpt-5",
        "model": OpenAIResponsesModel("gpt-5", client),
    }
    server.model = in_order(Text("sun"))
    agent: Agent[Any] = Agent(name="weather", model=models[way])
    workflow = running(durable(agent, provider=MultiProvider(openai_client=client)))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)
        await instance.wait_for_output()
        (note,) = await notes_of(instance)

    assert note["gen_ai.response.model"] == server.asked[0].body["model"] == "gpt-5"
    assert note["cost_usd"] == 1.5e-05


async def test_model_is_asked_the_same_in_a_workflow_as_outside(server: ModelServer, client: Any) -> None:
    """An agent that is not durable, and one outside of a workflow, ask and answer as one that is replayed."""
    from agents import Agent, OpenAIProvider, RunConfig, Runner, ToolOutputImage, function_tool

    from tests.durable_agents.weather_of_openai_agents import agent_of, running, weather

    @function_tool
    async def picture() -> ToolOutputImage:
        return ToolOutputImage(image_url="https://weather.example/graz.png")

    @function_tool
    async def place() -> tuple[float, float]:
        return (47.07, 15.44)

    tools = [weather, picture, place]
    calls = (Call("weather", {"town": "Graz"}), Call("picture"), Call("place"))
    server.model = by_place(Calls(calls), Text(ANSWER))
    plain: Agent[Any] = Agent(name="weather", model="gpt-5", tools=[*tools])
    config = RunConfig(model_provider=OpenAIProvider(openai_client=client))
    said, bodies = [], []

    said.append((await Runner.run(plain, "How is the weather?", run_config=config)).final_output)
    bodies.append(_asked(server))
    said.append((await Runner.run(agent_of(client, *tools), "How is the weather?")).final_output)
    bodies.append(_asked(server))
    workflow = running(agent_of(client, *tools))
    async with TestEngine.open([workflow], settings=REPLAYS_ALWAYS) as engine:
        said.append(await (await engine.create(workflow)).wait_for_output())
    bodies.append(_asked(server))

    assert said == [ANSWER] * 3
    assert bodies[0] == bodies[1] == bodies[2]


async def test_request_that_no_waiting_helps_is_made_once(server: ModelServer, client: Any) -> None:
    """What the provider refuses for good fails at once, with the name of the SDK's error."""
    from agents import Runner

    from tests.durable_agents.weather_of_openai_agents import agent_of

    server.model = in_order(Refusal(401, message="Incorrect API key"))
    agent = agent_of(client)

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            try:
                await Runner.run(agent, "How is the weather?")
            except NonRetryableError as error:
                await step.sleep("replay", "1 hour")
                return [error.name, "Incorrect API key" in str(error)]

    assert await every_way(Job(Weather), crashes=False) == ["AuthenticationError", True]
    assert len(server.asked) == 2  # once straight, once with a replay at each wait


async def test_tool_that_fails_is_tried_again(server: ModelServer, client: Any) -> None:
    """A tool without a function for its errors leaves them to its step."""
    from agents import function_tool

    from stepwell.agents import current_step
    from tests.durable_agents.weather_of_openai_agents import agent_of, running

    @function_tool(failure_error_function=None)
    def station(town: str) -> str:
        ctx = current_step()
        assert ctx is not None
        if ctx.attempt == 1:
            raise ConnectionError("the station does not answer")
        return "sun"

    server.model = by_place(Call("station", {"town": "Graz"}), Text("sun"))
    once = {"retries": {"limit": 1, "delay": "3 seconds"}}
    workflow = running(agent_of(client, station, tool=once))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "sun"
        assert await attempts_of(instance, "weather: tool station-1") == 2


async def test_person_approves_a_tool_days_later(server: ModelServer, client: Any) -> None:
    """A run that is interrupted for an approval goes on from its state when an event has brought the decision."""
    from agents import Runner, function_tool

    from tests.durable_agents.weather_of_openai_agents import agent_of

    refunded: list[int] = []

    @function_tool(needs_approval=True)
    async def refund(cents: int) -> str:
        refunded.append(cents)
        return "done"

    server.model = by_place(Call("refund", {"cents": 4200}), Text("refunded"))
    agent = agent_of(client, refund)

    class Refund(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            asked = await Runner.run(agent, "I want my money back")
            (call,) = asked.interruptions
            await step.wait_for_event("approval", "approved", timeout="30 days")
            state = asked.to_state()
            state.approve(call)
            return (await Runner.run(agent, state)).final_output

    output = await every_way(Job(Refund, sendings=[Sending("approved", is_late=True)]), crashes=False)

    assert output == "refunded"
    assert refunded == [4200, 4200]  # once straight, once with a replay at each wait
    assert len(server.asked) == 4


async def test_conversation_goes_on_with_what_was_said(server: ModelServer, client: Any) -> None:
    """The items of a run are the input of the next, across a wait."""
    from agents import Runner

    from tests.durable_agents.weather_of_openai_agents import agent_of

    agent = agent_of(client)

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            first = await Runner.run(agent, "How is the weather?")
            said = await step.wait_for_event("next", "said")
            again: Any = [*first.to_input_list(), {"role": "user", "content": said["payload"]}]
            return len((await Runner.run(agent, again)).to_input_list())

    output = await every_way(Job(Weather, sendings=[Sending("said", "And now?", is_late=True)]), crashes=False)

    assert output == 8
    assert len(server.asked) == 6


async def test_agents_hand_off_to_each_other(server: ModelServer, client: Any) -> None:
    """An agent that is handed off to is durable too, also where they lead in a circle, and by a handoff of its own."""
    from agents import Agent, handoff

    from tests.durable_agents.weather_of_openai_agents import agent_of, running

    forecast: Agent[Any] = Agent(name="forecast", model="gpt-5")
    past: Agent[Any] = Agent(name="past", model="gpt-5", handoffs=[forecast])
    forecast.handoffs = [past]
    server.model = by_place(Call("transfer_to_past"), Call("transfer_to_forecast"), Text("snow"))
    workflow = running(agent_of(client, handoffs=[handoff(past)]))

    async with TestEngine.open([workflow], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "snow"
        assert await steps_of(instance) == ["weather: model-1", "past: model-1", "forecast: model-1"]


async def test_agent_that_is_a_tool_has_steps_in_its_step(server: ModelServer, client: Any) -> None:
    """What a durable agent has asked as another one's tool is not asked again when the tool is tried again."""
    from agents import Runner, function_tool

    from stepwell.agents import current_step
    from tests.durable_agents.weather_of_openai_agents import agent_of, running

    inner = agent_of(client)

    @function_tool(failure_error_function=None)
    async def expert(question: str) -> str:
        ctx = current_step()
        assert ctx is not None
        answer = (await Runner.run(inner, question)).final_output
        if ctx.attempt == 1:
            raise ConnectionError("the expert has hung up")
        return str(answer)

    first, second = Call("expert", {"question": "Graz?"}), Text("as the expert says")
    server.model = lambda asked: (
        Text("sun") if asked.messages[0]["content"] == "Graz?" else by_place(first, second)(asked)
    )
    workflow = running(agent_of(client, expert, tool={"retries": {"limit": 1, "delay": "1 second"}}))

    async with TestEngine.open([workflow]) as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "as the expert says"
        assert len(server.asked) == 3


@pytest.mark.parametrize("streams", [pytest.param(False, id="run"), pytest.param(True, id="run streamed")])
async def test_what_a_model_says_is_in_the_log_while_it_says_it(
    server: ModelServer, client: Any, *, streams: bool
) -> None:
    """With `live` the model streams, and each line is a line of the instance's log as soon as it is whole."""
    from agents import Runner

    from tests.durable_agents.weather_of_openai_agents import agent_of

    server.model = in_order(Text("Sun in Graz.\nRain in Linz."))
    agent = agent_of(client, live=True)

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            if not streams:
                return (await Runner.run(agent, "How is the weather?")).final_output
            result = Runner.run_streamed(agent, "How is the weather?")
            async for _ in result.stream_events():
                pass
            return result.final_output

    capture.install()
    try:
        async with TestEngine.open([Weather], settings=REPLAYS_ALWAYS) as engine:
            instance = await engine.create(Weather)
            output = await instance.wait_for_output()
            page = await engine.engine.log(ACCOUNT, instance.workflow, instance.id, 0, 100)
    finally:
        capture.uninstall()

    assert output == "Sun in Graz.\nRain in Linz."
    assert [asked.body["stream"] for asked in server.asked] == [True]
    assert [(line.step, line.text) for line in page.lines] == [
        ("weather: model-1", "Sun in Graz."),
        ("weather: model-1", "Rain in Linz."),
    ]


@pytest.mark.long
async def test_what_an_mcp_server_is_asked_is_a_step(server: ModelServer, client: Any, station: Any) -> None:
    """Its tools are asked for, and called, by a connection of their own, which a replay does not need."""
    from tests.durable_agents.weather_of_openai_agents import agent_of, running

    server.model = by_place(Call("sky", {"town": "Graz"}), Text("sun"))
    workflow = running(agent_of(client, servers=[station]))

    async with TestEngine.open([workflow], settings=REPLAYS_ALWAYS, patience="1 minute") as engine:
        instance = await engine.create(workflow)

        assert await instance.wait_for_output() == "sun"
        assert await steps_of(instance) == [
            "station: tools-1",
            "weather: model-1",
            "station: tool sky-1",
            "station: tools-2",
            "weather: model-2",
        ]
        assert server.asked[1].messages[-1]["output"] == [{"type": "input_text", "text": "sun over Graz"}]


def test_mcp_server_that_is_not_durable_is_refused() -> None:
    """A connection of the author's own would be asked again by each replay."""
    from agents import Agent
    from agents.mcp import MCPServerStdio

    from stepwell.agents.openai_agents import durable

    agent = Agent[Any](name="weather", mcp_servers=[MCPServerStdio({"command": "none"}, name="station")])

    with pytest.raises(TypeError, match=r"agent 'weather': make the MCP server 'station' durable with `mcp_server`"):
        durable(agent)


async def test_agent_of_another_name_diverges(server: ModelServer, client: Any) -> None:
    """The steps of an agent are found by its name: a history says so before anything is asked twice."""
    from agents import Runner

    from stepwell.agents.openai_agents import durable
    from tests.durable_agents.weather_of_openai_agents import agent_of

    agents = [agent_of(client), durable(agent_of(client).clone(name="forecast", model="gpt-5"))]

    class Weather(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            agent = agents.pop(0)
            return (await Runner.run(agent, "How is the weather?")).final_output

    async with TestEngine.open([Weather], settings=REPLAYS_ALWAYS) as engine:
        instance = await engine.create(Weather)

        with pytest.raises(Diverged, match="forecast: model"):
            await instance.wait_for_output()
        assert len(server.asked) == 1


def test_traces_are_sent_only_to_whom_wants_them() -> None:
    """The SDK would send what agents do to OpenAI, unless it is told not to: a durable agent does not, by itself."""
    from agents import Agent, set_tracing_disabled
    from agents.tracing import get_trace_provider

    from stepwell.agents.openai_agents import durable

    set_tracing_disabled(disabled=False)
    durable(Agent[Any](name="weather"), tracing=True)
    assert get_trace_provider().create_trace("wanted").export() is not None

    durable(Agent[Any](name="weather"))
    assert get_trace_provider().create_trace("unwanted").export() is None


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tests]:
    """Load what the guide shows, as modules of authors are loaded: on no loop."""
    with guide_tests("docs/guides/openai-agents.md", tmp_path, monkeypatch) as tests:
        yield tests


async def test_guide_shows_what_works(
    shown: Tests, monkeypatch: pytest.MonkeyPatch, stepwell_engine: EngineFactory
) -> None:
    """Its agents run in the tests that it shows, without a model."""
    ran = await run_all(shown, monkeypatch=monkeypatch, stepwell_engine=stepwell_engine)

    assert ran == ["test_agent_tells_what_its_tool_says", "test_refund_waits_for_a_person"]
