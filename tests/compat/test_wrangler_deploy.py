"""`wrangler deploy` of Python Workflows projects, unchanged, against a real `stepwell serve --allow-deploy`.

Each command takes a second or two, so a test here gives few.
"""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.compat.node.clients import INSTALL_S, Node, Server
from tests.compat.test_wrangler import Wrangler
from tests.crash.server import stepwell

# The first test installs the clients, if that has not been done.
pytestmark = pytest.mark.timeout(60 + INSTALL_S)

SHOP = {
    "wrangler.jsonc": """
{
  // As Cloudflare's guide for Python Workflows has it.
  "name": "shop",
  "main": "src/shop.py",
  "compatibility_date": "2026-08-01",
  "compatibility_flags": ["python_workers"],
  "vars": {"STAGE": "test", "LIMITS": {"cents": 900}},
  "workflows": [{"binding": "ORDER", "name": "order", "class_name": "Order", "limits": {"steps": 20}}],
}
""",
    "src/shop.py": """
from pricing.table import price
from workers import Response, WorkerEntrypoint, WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("charge")
        async def charge():
            return price()

        return {"charged": await charge(), "stage": self.env.STAGE, "most": self.env.LIMITS["cents"]}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("shop")
""",
    "src/pricing/__init__.py": "",
    "src/pricing/table.py": """
from pathlib import Path


def price():
    return int(Path(__file__).with_name("cents.txt").read_text())
""",
    "src/pricing/cents.txt": "600",
}
# A project whose packages pywrangler has put beside the code: one that is plain Python, and Cloudflare's own.
GREETER = {
    "wrangler.toml": """
name = "greeter"
main = "src/entry.py"
compatibility_date = "2026-08-01"
compatibility_flags = ["python_workers"]
workers_dev = false

[[workflows]]
binding = "GREET"
name = "greet"
class_name = "Greet"
schedules = "0 9 * * MON"

[[workflows]]
binding = "ORDER"
name = "order"
class_name = "Order"
script_name = "shop"
""",
    "pyproject.toml": """
[project]
name = "greeter"
version = "0.1.0"
requires-python = ">=3.12"
dependencies = ["words"]
""",
    "src/entry.py": """
from words import HELLO
from workers import WorkflowEntrypoint


class Greet(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("order")
        async def order():
            return (await self.env.ORDER.create(id="of-greeter")).id

        return f"{HELLO} {await order()}"
""",
    "python_modules/words/__init__.py": 'HELLO = "hello"',
    "python_modules/workers/__init__.py": "raise ImportError('js')",
    "python_modules/workers/_workers.py": "",
    "python_modules/.synced": "x",
}


class DeployServer(Server):
    """A server that takes code."""

    @cached_property
    def token(self) -> str:
        """A token for everything, code included."""
        scopes = ("--scope", "write", "--scope", "deploy")
        return stepwell(self.folder, "token", "create", *self.place, *scopes).stdout.strip()

    def order(self, id: str) -> object:
        """Create an order, and return what it was charged once it is complete."""
        self.create("order", id)
        return json.loads(self.output("order", id))

    def output(self, workflow: str, id: str) -> Any:
        """Return what an instance has returned, once it has."""
        return self.wait_for_status(workflow, id, "complete")["output"]


class Project(Wrangler):
    """wrangler in the folder of a project."""

    def __init__(self, node: Node, server: Server, folder: Path, files: dict[str, str]) -> None:
        super().__init__(node, server.api, server.token, folder)
        self.folder = folder
        for name, text in files.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def do(self, *arguments: str) -> str:
        """Run a command that has to succeed, and return what it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def fail(self, *arguments: str) -> str:
        """Run a command that has to fail, and return its error."""
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def server(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployServer]:
    """A server without files."""
    options = ("--allow-deploy", "--workers", "1", "--fetch-port", "0", "--env", "PATH")
    with DeployServer(tmp_path_factory.mktemp("server"), "", *options) as started:
        yield started


@pytest.fixture(scope="module")
def shop(node: Node, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of several modules, with data, variables and a `fetch`, which is deployed."""
    project = Project(node, server, tmp_path_factory.mktemp("shop"), SHOP)
    assert "workflow: order" in project.do("deploy")
    return project


def test_project_of_several_modules_is_deployed_and_runs(shop: Project, server: DeployServer) -> None:
    """With its data and variables; what the wrangler file says of the workflow holds."""
    ran = server.order("first")

    assert ran == {"charged": 600, "stage": "test", "most": 900}
    assert server.call("/order/versions")[0]["limits"] == {"steps": 20}
    assert [(one["name"], one["script_name"]) for one in server.call("")] == [("order", "shop")]


def test_second_deployment_is_another_version(shop: Project, server: DeployServer) -> None:
    """New instances are of it, and the workflow has a version more."""
    before = {one["id"] for one in server.call("/order/versions")}
    shop.write("src/pricing/cents.txt", "700")

    shop.do("deploy", "--message", "dearer")

    assert server.order("second") == {"charged": 700, "stage": "test", "most": 900}
    assert {one["id"] for one in server.call("/order/versions")} > before


def test_project_with_packages_is_deployed_beside_another(
    shop: Project, server: DeployServer, node: Node, tmp_path: Path
) -> None:
    """What pywrangler has put beside the code is imported from there; both scripts are served, and call each other."""
    greeter = Project(node, server, tmp_path, GREETER)

    deployed = greeter.do("deploy")
    server.create("greet", "g")

    assert "workflow: greet" in deployed
    assert server.output("greet", "g") == "hello of-greeter"
    assert server.output("order", "of-greeter")
    assert [one["cron"] for one in server.call("/greet")["schedules"]] == ["0 9 * * MON"]


@pytest.mark.long
def test_deployment_is_taken_back(shop: Project, server: DeployServer) -> None:
    """`rollback` serves the version before again, and says so with its message; lists have both."""
    shop.write("src/pricing/cents.txt", "650")
    shop.do("deploy", "--message", "cheap")
    shop.write("src/pricing/cents.txt", "750")
    shop.do("deploy", "--message", "dear")
    deployments = json.loads(shop.do("deployments", "list", "--json"))

    shop.do("rollback", "--yes", "--message", "too dear")
    status = shop.do("deployments", "status")
    versions = json.loads(shop.do("versions", "list", "--json"))

    assert server.order("third") == {"charged": 650, "stage": "test", "most": 900}
    assert [one["annotations"].get("workers/message") for one in deployments][-2:] == ["cheap", "dear"]
    assert "Rollback" in status
    assert "too dear" in status
    assert versions[-2]["id"] in status
    assert {one["metadata"]["source"] for one in versions} == {"wrangler"}


@pytest.mark.long
def test_version_is_uploaded_and_deployed_later(shop: Project, server: DeployServer) -> None:
    """It changes nothing until it is deployed; `versions view` shows what it is bound to."""
    before = server.order("fourth")
    shop.write("src/pricing/cents.txt", "800")

    uploaded = shop.do("versions", "upload", "--tag", "v3")
    meanwhile = server.order("fifth")
    id = uploaded.partition("Worker Version ID: ")[2].split()[0]
    shown = shop.do("versions", "view", id)
    shop.do("versions", "deploy", f"{id}@100%", "--yes")

    assert meanwhile == before
    assert server.order("sixth") == {"charged": 800, "stage": "test", "most": 900}
    assert "python_workers" in shown
    assert "v3" in shown
    assert "env.ORDER (Order)" in shown


@pytest.mark.long
def test_what_cannot_be_deployed_is_told(shop: Project, server: DeployServer, node: Node, tmp_path: Path) -> None:
    """What cannot be loaded, what Stepwell does not have, and another script's workflow: by name, with a remedy."""
    flags = {"compatibility_date": "2026-08-01", "compatibility_flags": ["python_workers"]}
    config: dict[str, object] = {"name": "other", "main": "a.py", **flags}
    workflow = {"binding": "ORDER", "name": "order", "class_name": "Order"}
    code = "from workers import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n    pass\n"
    other = Project(node, server, tmp_path, {"a.py": code})

    def told(**more: object) -> str:
        other.write("wrangler.json", json.dumps(config | more))
        return " ".join(other.fail("deploy").split())

    bucket = told(r2_buckets=[{"binding": "FILES", "bucket_name": "files"}])
    another = told(workflows=[workflow])
    other.write("a.py", "import gone_away\n")
    broken = told()
    cron = " ".join(shop.fail("triggers", "deploy", "--triggers", "0 9 * * *").split())
    secret = " ".join(shop.fail("secret", "put", "KEY").split())

    assert "take its binding out of the wrangler file" in bucket
    assert 'the workflow "order" belongs to the script "shop", and this is the script "other"' in another
    assert "ModuleNotFoundError: No module named 'gone_away'" in broken
    assert "give a workflow `schedules` in the wrangler file instead" in cron
    assert "`stepwell serve --env NAME`" in secret
    assert [one["name"] for one in json.loads(shop.do("secret", "list"))] == ["PATH"]
