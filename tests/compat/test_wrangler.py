"""Cloudflare's own command line, unchanged, against a real `stepwell serve`.

Each command takes a second to start, so a test here gives few.
"""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.store.schedule_operations import FireSchedules, GetSchedule
from stepwell.store.sharing import reach
from tests.compat.node.clients import ACCOUNT, INSTALL_S, Node, Server

# The first test installs the clients, if that has not been done.
pytestmark = pytest.mark.timeout(60 + INSTALL_S)

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def charge():
            return event["payload"]["cents"]

        charged = await charge()
        approval = await step.wait_for_event("approval", "approved", timeout="1 hour")
        await step.sleep("rest", 1)
        return {"charged": charged, **approval["payload"]}


class Refused(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do(config={"retries": {"limit": 1, "delay": 1}})
        async def charge():
            raise ValueError("the card was refused")

        await charge()


class Listed(Order):
    pass


class Spare(Refused):
    pass


class SpareOrder(Order):
    pass


class Nightly(WorkflowEntrypoint):
    schedules = "*/30 * 29 2 *"

    async def run(self, event, step):
        await step.wait_for_event("approval", "approved")
"""

_COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Wrangler:
    """wrangler in an empty folder, with nothing but its documented variables."""

    def __init__(self, node: Node, api: str, token: str, folder: Path) -> None:
        self._node = node
        self._folder = folder
        self.program = node.packages / "wrangler" / "bin" / "wrangler.js"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CLOUDFLARE_API_BASE_URL": api,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": token,
            "CI": "1",
            # Without these it looks for a newer version of itself, and for who uses it.
            "WRANGLER_HIDE_BANNER": "true",
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_SEND_ERROR_REPORTS": "false",
            "WRANGLER_WRITE_LOGS": "false",
        }

    def run(self, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        env = self.env if token is None else self.env | {"CLOUDFLARE_API_TOKEN": token}
        return self._node.run(self.program, *arguments, cwd=self._folder, env=env)

    def say(self, *arguments: str) -> str:
        """Run a command of `workflows` that has to succeed, and return what it prints."""
        done = self.run("workflows", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return _COLOUR.sub("", done.stdout)

    def refuse(self, *arguments: str, token: str | None = None) -> list[str]:
        """Run a command of `workflows` that has to fail, and return the lines of its error."""
        done = self.run("workflows", *arguments, token=token)
        assert done.returncode == 1
        return [line for text in _COLOUR.sub("", done.stderr).splitlines() if (line := text.strip())]


@pytest.fixture(scope="module")
def server(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these workflows."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "flows.py").write_text(SOURCE)
    with Server(folder) as started:
        yield started


@pytest.fixture(scope="module")
def wrangler(node: Node, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    """wrangler, led to the server."""
    return Wrangler(node, server.api, server.token, tmp_path_factory.mktemp("wrangler"))


def _table(text: str) -> list[list[str]]:
    """Return the rows of a table, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows][1:]


def _labels(text: str) -> dict[str, str]:
    """Return what stands behind each label; of labels that repeat, the first."""
    pairs = [line.strip().split(":", 1) for line in reversed(text.splitlines()) if ": " in line]
    return {label: value.strip() for label, value in pairs}


def test_wrangler_lists_workflows(wrangler: Wrangler) -> None:
    """`workflows list` shows name, script and class of each."""
    text = wrangler.say("list")

    rows = [row[:3] for row in _table(text)]
    assert " workflows from page 1:" in text
    assert ["order", "flows", "Order"] in rows
    assert ["refused", "flows", "Refused"] in rows


def test_wrangler_describes_a_workflow(wrangler: Wrangler, server: Server) -> None:
    """`workflows describe` shows the workflow, and the newest version behind it."""
    newest = server.call("/order/versions")[0]["id"]

    text = wrangler.say("describe", "order")

    workflow, version = text.split("Latest Version:")
    labels = _labels(workflow)
    assert (labels["Name"], labels["Script Name"], labels["Class Name"]) == ("order", "flows", "Order")
    assert labels["Id"] == server.call("/order")["id"]
    assert _labels(version)["Id"] == newest


def test_wrangler_follows_an_instance_from_its_creation_to_its_end(wrangler: Wrangler, server: Server) -> None:
    """It triggers an instance, finds it waiting as the latest, sends the event and shows every entry."""
    triggered = wrangler.say("trigger", "order", '{"cents": 600}', "--id", "order-1")
    server.wait_for_status("order", "order-1", "waiting")
    waiting = wrangler.say("instances", "describe", "order", "latest")
    sent = wrangler.say(
        "instances", "send-event", "order", "order-1", "--type", "approved", "--payload", '{"by":"ann"}'
    )
    ended = server.wait_for_status("order", "order-1", "complete")
    complete = wrangler.say("instances", "describe", "order", "order-1")

    entries = [_labels(entry) for entry in complete.split("Steps:")[1].split("\n\n  Name:")]
    assert triggered == '🚀 Workflow instance "order-1" has been queued successfully\n'
    assert waiting.startswith("Describing latest instance:")
    assert {"Instance Id": "order-1", "Status": "⏰ Waiting", "Trigger": "🌎 API"}.items() <= _labels(waiting).items()
    assert "Type:      👀 Waiting for event" in waiting
    assert sent.endswith(
        'The event with type "approved" and payload "{"by":"ann"}" was sent to the instance "order-1" from order\n'
    )
    assert json.loads(ended["output"]) == {"charged": 600, "by": "ann"}
    assert {"Status": "✅ Completed", "Success": "✅ Yes", "Last Successful Step": "rest-1"}.items() <= _labels(
        complete
    ).items()
    assert [entry["Type"] for entry in entries[-3:]] == ["🎯 Step", "👀 Waiting for event", "💤 Sleeping"]


def test_wrangler_shows_each_attempt_of_a_step_that_failed(wrangler: Wrangler, server: Server) -> None:
    """`instances describe` shows the error of the instance, and the attempts with theirs."""
    server.create("refused", "refused-1")
    server.wait_for_status("refused", "refused-1", "errored")

    text = wrangler.say("instances", "describe", "refused", "refused-1")

    labels = _labels(text)
    assert (labels["Status"], labels["Error"]) == ("❌ Errored", "ValueError: the card was refused")
    assert [row[3:] for row in _table(text)] == [["❌ Error", "ValueError: the card was refused"]] * 2


def test_wrangler_walks_and_filters_instances(wrangler: Wrangler, server: Server) -> None:
    """`instances list` pages by cursors, reverses, and filters by status and date; nothing found is no error."""
    for id in ("a", "b", "c"):
        server.create("listed", id, {"cents": 1})
        server.wait_for_status("listed", id, "waiting")

    second = wrangler.say("instances", "list", "listed", "--per-page", "2", "--page", "2")
    reversed_ = wrangler.say("instances", "list", "listed", "--reverse", "--status", "waiting")
    raw = wrangler.say("instances", "list", "listed", "--json", "--date-start", "2020-01-01")
    none = wrangler.run("workflows", "instances", "list", "listed", "--status", "errored")

    assert [(row[0], row[-1]) for row in _table(second)] == [("a", "⏰ Waiting")]
    assert [row[0] for row in _table(reversed_)] == ["a", "b", "c"]
    assert json.loads(raw) == server.call("/listed/instances")
    assert (none.returncode, none.stdout) == (0, "")
    assert 'No instances in workflow "listed" matched the provided filters.' in none.stderr


@pytest.mark.parametrize(
    ("command", "error"),
    [
        pytest.param(
            ("describe", "none"),
            'no workflow "none" in this account [code: 10200]',
            id="workflow",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("instances", "describe", "order", "none"),
            'no instance "none" in workflow "order" [code: 10400]',
            id="instance",
        ),
    ],
)
def test_wrangler_tells_what_is_not_there(wrangler: Wrangler, command: tuple[str, ...], error: str) -> None:
    """Our sentence and Cloudflare's code are in its error."""
    lines = wrangler.refuse(*command)

    assert lines[0].endswith("failed.")
    assert lines[1].endswith(error)


def test_wrangler_tells_what_a_token_may_not_do(wrangler: Wrangler, server: Server) -> None:
    """With a token that may only read, a trigger names the permission, and wrangler says who it thinks you are."""
    reading = server.make_token("read")

    done = wrangler.run("workflows", "trigger", "order", token=reading)

    assert done.returncode == 1
    assert "needs Workers Scripts Write [code: 10000]" in done.stderr
    assert "You are logged in with an User API Token" in done.stdout


def test_wrangler_tells_that_a_token_is_wrong(wrangler: Wrangler) -> None:
    """An unknown token is an error that says how to make one."""
    lines = wrangler.refuse("list", token="wrong")

    assert lines[1] == (
        "Authentication error: the token is not known here; `stepwell token create` makes one [code: 10000]"
    )


def test_wrangler_knows_who_calls(wrangler: Wrangler) -> None:
    """`whoami` shows the account of the token."""
    done = wrangler.run("whoami")

    assert (done.returncode, done.stderr) == (0, "")
    assert "You are logged in with an User API Token" in done.stdout
    assert _table(done.stdout) == [[ACCOUNT, ACCOUNT]]


def test_wrangler_controls_an_instance(wrangler: Wrangler, server: Server) -> None:
    """It pauses, resumes, restarts from a step, terminates and deletes, and says so each time."""
    server.create("listed", "held", {"cents": 1})
    server.wait_for_status("listed", "held", "waiting")
    said = {}
    for what, status, *more in (
        ("pause", "paused"),
        ("resume", "waiting"),
        ("restart", "waiting", "--from-step-name", "approval", "--from-step-type", "waitForEvent"),
        ("terminate", "terminated", "--rollback"),
    ):
        said[what] = wrangler.say("instances", what, "listed", "held", *more)
        server.wait_for_status("listed", "held", status)
    described = wrangler.say("instances", "describe", "listed", "held")
    deleted = wrangler.say("instances", "delete", "listed", "held")

    for what, done in (
        ("pause", "paused"),
        ("resume", "resumed"),
        ("restart", "restarted"),
        ("terminate", "terminated"),
    ):
        assert f'The instance "held" from listed was {done} successfully' in said[what]
    assert "Termination" in described
    assert 'Deleted workflow instances from "listed"' in deleted
    assert [instance["id"] for instance in server.call("/listed/instances") if instance["id"] == "held"] == []


@pytest.mark.sqlite
def test_wrangler_finds_the_instance_of_a_firing(wrangler: Wrangler, server: Server) -> None:
    """It escapes nothing of an id: stars and slashes lead to the instance all the same, and `Cron` is its trigger."""
    id = asyncio.run(_fire(server.folder / "data" / "store.db"))

    described = wrangler.say("instances", "describe", "nightly", id)
    terminated = wrangler.say("instances", "terminate", "nightly", id)

    assert _labels(described)["Trigger"].endswith("Cron")
    assert f'The instance "{id}" from nightly was terminated successfully' in terminated
    assert server.call("/nightly")["instances"]["terminated"] == 1


async def _fire(path: Path) -> str:
    """Have the schedule fired as if it were due; return the id of the instance."""
    store = await reach(path)
    due = await store.run(GetSchedule(ACCOUNT, "nightly", "*/30 * 29 2 *"))
    assert due.next_at is not None
    assert (await store.run(FireSchedules(due.next_at, 0))).created == 1
    await store.close()
    return f"*/30 * 29 2 *-{due.next_at}"


# That its errors are ours is shown of what is not there.
@pytest.mark.long
def test_wrangler_tells_what_cannot_be_done_to_an_instance(wrangler: Wrangler, server: Server) -> None:
    """A refused change, an unknown step and an unknown id are errors with our sentence and Cloudflare's code."""
    server.create("refused", "over")
    server.wait_for_status("refused", "over", "errored")

    ended = wrangler.refuse("instances", "terminate", "refused", "over")
    unknown = wrangler.refuse("instances", "restart", "refused", "over", "--from-step-name", "none")
    gone = wrangler.run("workflows", "instances", "delete", "refused", "nobody")

    assert ended[1].endswith('instance "over" of workflow "refused" is errored [code: 10401]')
    assert 'Step "none" not found in execution history' in unknown[1]
    assert gone.returncode == 1
    assert 'no instance "nobody" in workflow "refused"' in gone.stdout + gone.stderr


# The examples of the reference have it, too.
@pytest.mark.long
def test_wrangler_terminates_all_instances(wrangler: Wrangler, server: Server) -> None:
    """`terminate-all` starts the job, which ends what has not ended."""
    server.create("spare-order", "one", {"cents": 1})
    server.wait_for_status("spare-order", "one", "waiting")

    said = wrangler.say("instances", "terminate-all", "spare-order")

    assert 'A job to terminate instances from Workflow "spare-order"' in said
    server.wait_for_status("spare-order", "one", "terminated")
