"""Cloudflare's own client for TypeScript, unchanged, against a real `stepwell serve`; its types hold the answers."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.node.clients import ACCOUNT, HERE, INSTALL_S, Node, Server

# The first test installs the clients, if that has not been done.
pytestmark = pytest.mark.timeout(60 + INSTALL_S)

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        tried = []

        @step.do(config={"retries": {"limit": 1, "delay": 1}, "timeout": "1 minute"})
        async def charge():
            tried.append(1)
            if not event["payload"]["cents"] or len(tried) == 1:
                raise ValueError("the card was refused")
            return {"cents": event["payload"]["cents"]}

        charged = await charge()
        await step.sleep("rest", 1)
        approval = await step.wait_for_event("approval", "approved", timeout="1 hour")
        return {**charged, **approval["payload"]}


class Spare(WorkflowEntrypoint):
    async def run(self, event, step):
        return None
"""

# Which type an answer has; of those that end in [] each item has it.
TYPES = {
    "user.tokens.verify": "TokenVerifyResponse",
    "user.get": "UserGetResponse",
    "accounts.list": "Account[]",
    "accounts.get": "Account",
    "instances.create": "InstanceCreateResponse",
    "instances.get, waiting": "Unfinished",
    "instances.get, complete": "InstanceGetResponse",
    "instances.get, simple": "InstanceGetResponse",
    "instances.get, desc": "InstanceGetResponse",
    "instances.get, errored": "Unfinished",
    "instances.events.create": "EventCreateResponse",
    "instances.step, step": "InstanceStepResponse",
    "instances.step, wait": "InstanceStepResponse",
    "instances.bulk": "InstanceBulkResponse[]",
    "instances.list, pages": "InstanceListResponse[]",
    "instances.list, filtered": "InstanceListResponse[]",
    "instances.status.edit, pause": "StatusEditResponse",
    "instances.status.edit, resume": "StatusEditResponse",
    "instances.status.edit, restart": "StatusEditResponse",
    "instances.status.edit, terminate": "StatusEditResponse",
    "instances.get, paused": "Unfinished",
    "instances.get, terminated": "Unfinished",
    "workflows.update": "WorkflowUpdateResponse",
    "workflows.get": "WorkflowGetResponse",
    "workflows.list": "WorkflowListResponse[]",
    "workflows.list, searched": "WorkflowListResponse[]",
    "workflows.delete": "WorkflowDeleteResponse",
    "versions.list": "VersionListResponse[]",
    "versions.get": "VersionGetResponse",
    "versions.graph": "VersionGraphResponse",
}
# `output` is null until there is one, which Cloudflare's own answers have and its type cannot say.
IMPORTS = """
import type { Account } from "cloudflare/resources/accounts/accounts";
import type { UserGetResponse } from "cloudflare/resources/user/user";
import type { TokenVerifyResponse } from "cloudflare/resources/user/tokens/tokens";
import type {
  InstanceBulkResponse,
  InstanceCreateResponse,
  InstanceGetResponse,
  InstanceListResponse,
  InstanceStepResponse,
} from "cloudflare/resources/workflows/instances/instances";
import type { StatusEditResponse } from "cloudflare/resources/workflows/instances/status";
import type { EventCreateResponse } from "cloudflare/resources/workflows/instances/events";
import type {
  VersionGetResponse,
  VersionGraphResponse,
  VersionListResponse,
} from "cloudflare/resources/workflows/versions";
import type {
  WorkflowDeleteResponse,
  WorkflowGetResponse,
  WorkflowListResponse,
  WorkflowUpdateResponse,
} from "cloudflare/resources/workflows/workflows";

type Unfinished = {
  [Name in keyof InstanceGetResponse]: InstanceGetResponse[Name] | (Name extends "output" ? null : never);
};
"""


def _lay_out(node: Node, folder: Path) -> Path:
    """Make a folder a project of TypeScript that has the clients."""
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(node.packages)
    return folder


def _compile(node: Node, project: Path) -> subprocess.CompletedProcess[str]:
    return node.run(node.packages / "typescript" / "bin" / "tsc", "--project", project, cwd=project)


def _departures(whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an answer with something missing, unknown or null, by what is wrong."""
    step = whole["steps"][0]
    return {
        "missing": {name: value for name, value in whole.items() if name != "rollback"},
        "unknown": whole | {"extra": 1},
        "empty": whole | {"queued": None},
        "deep": whole | {"steps": [step | {"config": step["config"] | {"extra": 1}}]},
    }


@pytest.fixture(scope="module")
def errors(answers: dict[str, Any], node: Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The compiler's errors, by the constant that has one: all of them are compiled together, which takes a second."""
    constants = {f"answer{number}": (TYPES[name], answers[name]) for number, name in enumerate(TYPES)}
    departures = _departures(answers["instances.get, complete"])
    constants |= {name: ("InstanceGetResponse", value) for name, value in departures.items()}
    lines = IMPORTS.splitlines() + [
        f"export const {name}: {kind} = {json.dumps(value, ensure_ascii=False)};"
        for name, (kind, value) in constants.items()
    ]
    project = _lay_out(node, tmp_path_factory.mktemp("answers"))
    (project / "answers.ts").write_text("\n".join(lines))
    stdout = _compile(node, project).stdout
    said = re.findall(r"^answers\.ts\((\d+),\d+\): error (\w+): ", stdout, re.MULTILINE)
    assert len(said) == stdout.count(": error "), stdout
    names = [None] * len(IMPORTS.splitlines()) + list(constants)
    return {str(names[int(line) - 1]): code for line, code in said}


@pytest.fixture(scope="module")
def answers(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What workflows.ts gets from a server, whole, by the method that it came from."""
    project = _lay_out(node, tmp_path_factory.mktemp("program"))
    shutil.copy(HERE / "workflows.ts", project)
    compiled = _compile(node, project)
    assert (compiled.returncode, compiled.stdout, compiled.stderr) == (0, "", "")
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "flows.py").write_text(SOURCE)
    with Server(folder) as server:
        ran = node.run(project / "out" / "workflows.js", ACCOUNT, server.api, server.token, cwd=project)
        assert (ran.returncode, ran.stderr) == (0, ""), server.log
        yield json.loads(ran.stdout)


def test_every_answer_has_the_type_that_the_client_declares(answers: dict[str, Any], errors: dict[str, str]) -> None:
    """With each answer as a constant of its type the compiler finds nothing missing, nothing wrong, nothing more."""
    assert set(errors) <= set(_departures(answers["instances.get, complete"])), errors
    assert set(answers) - set(TYPES) == {"refused"}


def test_compiler_finds_an_answer_that_departs(errors: dict[str, str]) -> None:
    """These tests would notice: a member that is missing, unknown or null, at any depth, is an error."""
    found = {name: code for name, code in errors.items() if not name.startswith("answer")}

    assert found == {"missing": "TS2741", "unknown": "TS2353", "empty": "TS2322", "deep": "TS2353"}


def test_client_follows_an_instance_from_its_creation_to_its_end(answers: dict[str, Any]) -> None:
    """It creates an instance, finds it waiting, sends the event and gets the output and every entry."""
    created, waiting, complete = (
        answers[name] for name in ("instances.create", "instances.get, waiting", "instances.get, complete")
    )

    assert (created["id"], created["status"], created["trigger_source"]) == ("order-1", "queued", "api")
    assert (waiting["params"], waiting["output"], waiting["end"]) == ({"cents": 600}, None, None)
    assert answers["instances.events.create"]["instanceId"] == "order-1"
    assert (complete["success"], json.loads(complete["output"])) == (True, {"cents": 600, "by": "ann"})
    assert [entry["name"] for entry in complete["steps"]] == ["charge-1", "rest-1", "approval-1"]
    assert answers["instances.get, desc"] == complete | {"steps": complete["steps"][::-1]}
    assert answers["instances.get, simple"] == complete | {"steps": []}


def test_client_gets_the_whole_output_of_a_step(answers: dict[str, Any]) -> None:
    """Of a step and of a wait, by name, type and attempt."""
    step, wait = answers["instances.step, step"], answers["instances.step, wait"]

    assert (step["status"], step["error"]) == ("complete", None)
    assert (wait["status"], wait["event_type"]) == ("complete", "approved")
    assert (step["output"], wait["output"]) == ({"cents": 600}, {"by": "ann"})


def test_client_creates_many_and_lists_them_to_the_end(answers: dict[str, Any]) -> None:
    """A batch leaves out the id that is taken; lists page by themselves, filter, and end."""
    errored = answers["instances.get, errored"]

    assert [created["id"] for created in answers["instances.bulk"]] == ["a", "b", "c"]
    assert errored["error"] == {"name": "ValueError", "message": "the card was refused"}
    assert [attempt["success"] for attempt in errored["steps"][0]["attempts"]] == [False, False]
    assert [found["id"] for found in answers["instances.list, pages"]] == ["c", "b", "a", "order-1"]
    assert [found["id"] for found in answers["instances.list, filtered"]] == ["order-1"]


def test_client_controls_an_instance(answers: dict[str, Any]) -> None:
    """It pauses, resumes, restarts from a step and terminates; each is answered with the status then."""
    edited = [
        answers[f"instances.status.edit, {what}"]["status"] for what in ("pause", "resume", "restart", "terminate")
    ]

    assert edited == ["paused", "queued", "queued", "terminated"]
    assert answers["instances.get, paused"]["status"] == "paused"
    assert [entry["type"] for entry in answers["instances.get, terminated"]["steps"]] == [
        "step",
        "sleep",
        "waitForEvent",
        "termination",
    ]


def test_client_changes_a_workflow_and_reads_its_versions(answers: dict[str, Any]) -> None:
    """An update makes a version, which is the first of the list; lists of both page and end."""
    newest, first = answers["versions.list"]

    assert newest["id"] == answers["workflows.update"]["version_id"]
    assert (newest["limits"], newest["language"], first.get("limits")) == ({"steps": 50}, "python", None)
    assert answers["versions.get"] == newest
    drawn = answers["versions.graph"]
    nodes = [(node["type"], node["name"]) for node in drawn["graph"]["workflow"]["nodes"]]
    assert (drawn["id"], newest["has_dag"]) == (newest["id"], True)
    assert nodes == [("step_do", "charge"), ("step_sleep", "rest"), ("step_wait_for_event", "approval")]
    assert {found["name"] for found in answers["workflows.list"]} == {"order", "spare"}
    assert answers["workflows.list, searched"] == [answers["workflows.get"]]
    assert answers["workflows.get"]["instances"]["errored"] == 3
    assert answers["workflows.delete"] == {"status": "ok", "success": True}


def test_client_knows_what_is_refused(answers: dict[str, Any]) -> None:
    """Each refusal arrives as the class of its status, with Cloudflare's code."""
    refused = {name: (said["kind"], said["codes"]) for name, said in answers["refused"].items()}

    assert refused == {
        "unknown workflow": ("NotFoundError", [10200]),
        "unknown instance": ("NotFoundError", [10400]),
        "unknown version": ("NotFoundError", [10300]),
        "id is taken": ("BadRequestError", [10405]),
        "event after the end": ("BadRequestError", [10401]),
        "terminate after the end": ("BadRequestError", [10401]),
        "unknown class": ("BadRequestError", [10002]),
        "wrong token": ("AuthenticationError", [10000]),
        "another account": ("PermissionDeniedError", [10000]),
    }


def test_client_knows_who_calls(answers: dict[str, Any]) -> None:
    """Token, user and accounts are answered in the shapes that the client knows."""
    assert answers["user.tokens.verify"]["status"] == "active"
    assert answers["user.get"]["suspended"] is False
    assert [account["id"] for account in answers["accounts.list"]] == [ACCOUNT]
    assert answers["accounts.get"] == answers["accounts.list"][0]


def test_page_names_the_versions_that_are_tried() -> None:
    """docs/compatibility.md says which versions of Cloudflare's clients these tests run with."""
    root = HERE.parent.parent.parent
    page = (root / "docs" / "compatibility.md").read_text()
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    (python,) = re.findall(r"^cloudflare==(.+)$", (root / "constraints.txt").read_text(), re.MULTILINE)

    tried = {f"`{name}` {packages[name]}" for name in ("cloudflare", "typescript", "wrangler")}

    assert {said for said in {*tried, f"`cloudflare` {python}"} if said not in page} == set()
