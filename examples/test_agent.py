"""How an agent is tested without its model. `pytest examples` runs it."""

from agent import Agent


async def test_agent_comes_to_its_answer(stepwell_engine):
    """The stand-in for the model plans three tools, and answers with what they have found."""
    engine = await stepwell_engine(Agent)
    agent = await engine.create(Agent, params={"question": "pumps"})

    assert await agent.wait_for_output() == {"answer": "pumps: 3 pages on pumps, 5 facts, 1 summary", "turns": 4}


async def test_agent_does_what_the_model_says(stepwell_engine):
    """A model's answers are results of steps, so a test says them."""
    engine = await stepwell_engine(Agent)
    async with engine.introspect_instance(Agent, "1") as agent:
        agent.mock_step_result("think 1", {"tool": "read", "input": "a book"})
        agent.mock_step_result("think 2", {"answer": "42"})
        await engine.create(Agent, id="1")

        assert await agent.wait_for_step_result("read 1") == {"found": "6 facts"}
        await agent.wait_for_status("complete")
        assert await agent.get_output() == {"answer": "42", "turns": 2}


async def test_agent_that_never_answers_stops_after_ten_turns(stepwell_engine):
    """What is said of a workflow holds for all instances that are created from then on."""
    engine = await stepwell_engine(Agent)
    async with engine.introspect_workflow(Agent) as agents:
        for turn in range(1, 11):
            agents.mock_step_result(f"think {turn}", {"tool": "search", "input": "wells"})
        agents.disable_sleeps()
        agent = await engine.create(Agent)

        assert await agent.wait_for_output() == {"answer": None, "turns": 10}
