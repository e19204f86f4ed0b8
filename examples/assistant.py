"""An assistant: it talks for weeks, uses tools, and asks a person before it does what cannot be taken back.

stepwell dev examples/assistant.py

A stand-in answers. With OPENAI_BASE_URL (https://api.openai.com/v1), OPENAI_API_KEY and OPENAI_MODEL in the environment
any model does that is asked as OpenAI's chat completions are.
"""

import json
import os

import httpx2

from stepwell import Flow, Rate, SharedLimit, WorkflowEntrypoint, WorkflowTimeoutError

PROVIDER = os.environ.get("OPENAI_BASE_URL")
MODEL = os.environ.get("OPENAI_MODEL", "stand-in")
USD_PER_MILLION = {"prompt_tokens": 0.25, "completion_tokens": 2.0}


def search(text):
    """Find pages about a text."""
    return f"3 pages on {text}"


def send_mail(text):
    """Send a text to the customer."""
    return f"sent: {text}"


TOOLS = {"search": search, "send_mail": send_mail}
# What cannot be taken back waits for a person.
NEEDS_APPROVAL = {"send_mail"}


class Assistant(WorkflowEntrypoint):
    """Each answer of the model and each tool's result is a step: kept for ever, and never asked for twice."""

    # Eight at a time over all conversations, and no more in a minute than the provider allows.
    flow = Flow(shared={"model": SharedLimit(8, Rate(500, "1 minute"))})

    async def run(self, event, step):
        """Answer the first question, and each that comes as the event `question`, until a month passes without one."""
        messages = [{"role": "user", "content": event["payload"].get("question", "How deep is a well?")}]
        for turn in range(1, 101):
            await self.answer(step, messages)
            try:
                asked = await step.wait_for_event(f"question {turn + 1}", "question", timeout="30 days")
            except WorkflowTimeoutError:
                break
            messages.append({"role": "user", "content": asked["payload"]})
        return messages

    async def answer(self, step, messages):
        """Let the model think and use tools until it has an answer, which is then the last message."""
        for _ in range(20):
            message = await step.do("think", ask_model, messages, limit="model", config={"timeout": "5 minutes"})
            messages.append(message)
            calls = message.get("tool_calls", [])
            if not calls:
                return
            for call in calls:
                result = await self.use(step, call["function"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    async def use(self, step, function):
        """Use a tool, once a person has approved where that is needed; return what the model is told of it."""
        name = function["name"]
        if name in NEEDS_APPROVAL:
            await step.set_progress({"to approve": function})
            try:
                approval = await step.wait_for_event(f"approve {name}", "approval", timeout="1 day")
            except WorkflowTimeoutError:
                return "nobody has approved that"
            if not approval["payload"]["approved"]:
                return f"refused: {approval['payload'].get('reason', 'no reason was given')}"
        try:
            return await step.do(name, use_tool, function, config={"retries": {"limit": 2, "delay": "5 seconds"}})
        except Exception as error:  # the model is told, and finds another way
            return f"failed: {error!r}"


def use_tool(function):
    """Do what the model wants."""
    return TOOLS[function["name"]](json.loads(function["arguments"])["text"])


async def ask_model(messages, ctx):
    """Return the model's next message. A 429 is tried again when the provider says so; tokens are seen as they come."""
    message = {"role": "assistant", "content": ""}
    usage: dict[str, int] = {}
    async for chunk in (streamed if PROVIDER else pretended)(messages):
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            add(message, choice["delta"])
    ctx.set_attributes(
        {
            "gen_ai.request.model": MODEL,
            "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
            "cost_usd": sum(usage.get(kind, 0) * price / 1_000_000 for kind, price in USD_PER_MILLION.items()),
        }
    )
    return message


def add(message, delta):
    """Add a part of a streamed message to what there is of it."""
    if text := delta.get("content"):
        print(text, end="", flush=True)
        message["content"] += text
    for part in delta.get("tool_calls") or []:
        calls = message.setdefault("tool_calls", [])
        if part["index"] == len(calls):
            calls.append({"id": part["id"], "type": "function", "function": {**part["function"], "arguments": ""}})
        calls[part["index"]]["function"]["arguments"] += part["function"].get("arguments", "")


async def streamed(messages):
    """Yield the parts of a model's answer."""
    body = {"model": MODEL, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    body["tools"] = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": tool.__doc__,
                "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            },
        }
        for name, tool in TOOLS.items()
    ]
    headers = {"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    async with (
        httpx2.AsyncClient(timeout=60) as client,
        client.stream("POST", f"{PROVIDER}/chat/completions", json=body, headers=headers) as response,
    ):
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


async def pretended(messages):
    """Stand in for a model that looks something up, writes to the customer, and says so."""
    text, results = "", list[str]()
    for message in messages:
        if message["role"] == "user":
            text, results = message["content"], []
        elif message["role"] == "tool":
            results.append(message["content"])
    delta: dict[str, object] = {"content": f"Asked about {text}: {'; '.join(results)}."}
    if len(results) < len(TOOLS):
        function = {"name": list(TOOLS)[len(results)], "arguments": json.dumps({"text": text})}
        delta = {"tool_calls": [{"index": 0, "id": f"call_{len(messages)}", "function": function}]}
    yield {"choices": [{"delta": delta}]}
    yield {"choices": [], "usage": {"prompt_tokens": len(str(messages).split()), "completion_tokens": 8}}
