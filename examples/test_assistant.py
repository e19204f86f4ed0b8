"""How an assistant is tested without its model, and without waiting for people. `pytest examples` runs it."""

from assistant import Assistant


async def test_mail_is_sent_once_somebody_has_approved_it(stepwell_engine):
    """The conversation waits for a person, and for the next question as long as there may be one."""
    engine = await stepwell_engine(Assistant)
    talk = await engine.create(Assistant, params={"question": "pumps"})

    await talk.wait_for_step_result("search")
    await talk.send_event("approval", {"approved": True})
    assert await talk.wait_for_step_result("send_mail") == "sent: pumps"
    answer = await talk.wait_for_step_result(("think", 3))
    assert answer["content"] == "Asked about pumps: 3 pages on pumps; sent: pumps."

    messages = await talk.wait_for_output()
    assert len(messages) == 6


async def test_refused_mail_is_not_sent(stepwell_engine):
    """The model is told why, and goes on."""
    engine = await stepwell_engine(Assistant)
    talk = await engine.create(Assistant, params={"question": "pumps"})

    await talk.send_event("approval", {"approved": False, "reason": "too soon"})
    messages = await talk.wait_for_output()

    assert messages[-1]["content"] == "Asked about pumps: 3 pages on pumps; refused: too soon."


async def test_conversation_goes_on_with_the_next_question(stepwell_engine):
    """It has all that was said before, as it is the same instance."""
    engine = await stepwell_engine(Assistant)
    talk = await engine.create(Assistant, params={"question": "pumps"})

    for _ in range(2):
        await talk.send_event("approval", {"approved": True})
    await talk.send_event("question", "ropes")
    messages = await talk.wait_for_output()

    said = [message["content"] for message in messages if message["role"] == "assistant" and message["content"]]
    assert said == [
        "Asked about pumps: 3 pages on pumps; sent: pumps.",
        "Asked about ropes: 3 pages on ropes; sent: ropes.",
    ]
