"""An agent's loop: think, act, repeat. The steps are named as the loop goes; each answer is kept for ever.

stepwell dev examples/agent.py
"""

from stepwell import WorkflowEntrypoint


def model(question, notes):
    """Stand in for a language model: say which tool to use next, or the answer."""
    plan = ["search", "read", "summarise"]
    if len(notes) < len(plan):
        return {"tool": plan[len(notes)], "input": question}
    return {"answer": f"{question}: " + ", ".join(note["found"] for note in notes)}


TOOLS = {
    "search": lambda text: {"found": f"3 pages on {text}"},
    "read": lambda text: {"found": f"{len(text)} facts"},
    "summarise": lambda text: {"found": "1 summary"},
}


class Agent(WorkflowEntrypoint):
    """Names depend on params and earlier results alone, so a replay meets the same steps."""

    async def run(self, event, step):
        """Return the answer and the way to it."""
        question = event["payload"].get("question", "wells")
        notes: list[dict[str, str]] = []
        for turn in range(1, 11):

            @step.do(f"think {turn}")
            def think():
                return model(question, notes)

            thought = await think()
            if "answer" in thought:
                return {"answer": thought["answer"], "turns": turn}

            tool, text = thought["tool"], thought["input"]

            @step.do(f"{tool} {turn}")
            def act(ctx):
                return TOOLS[tool](text)

            notes.append(await act())
            await step.sleep("catch breath", "1 second")
        return {"answer": None, "turns": 10}
