"""Commands in this process, against a real server."""

from typing import Any

from click.testing import CliRunner, Result

from stepwell.cli import main
from tests.crash.server import DevServer

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def charge():
            print("charging")
            return 42

        await charge()
        for text in event["payload"].get("says", []):
            step.log(text)
        for number in range(event["payload"].get("naps", 0)):
            await step.sleep(f"nap {number}", 1)
        if event["payload"].get("waits"):
            event = await step.wait_for_event("approval", "approved")
        if event["payload"].get("fails"):
            raise ValueError("no \\x1b[31mred")
        return event["payload"]


class Idle(WorkflowEntrypoint):
    schedules = "0 0 1 1 *"

    async def run(self, event, step):
        return None
"""


def run(*arguments: str, said: str | bytes | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, arguments, input=said, prog_name="stepwell")


def ask(server: DevServer, *arguments: str, said: str | bytes | None = None) -> Result:
    """Run a command that asks a server."""
    return run(*arguments, "--url", server.url, said=said)


def begin(server: DevServer, *ids: str, **params: Any) -> None:
    """Create instances with these params that wait for an event."""
    for id in ids:
        server.create("order", id, {"waits": True, **params})
    for id in ids:
        server.wait_for_status("order", id, "waiting")
