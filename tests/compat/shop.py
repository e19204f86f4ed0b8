"""A real server with all that the examples of /docs are about, and what runs them as its pages show them."""

import contextlib
import functools
import html
import io
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepwell.api.openapi.of_scripts import EXAMPLE_VERSION
from tests.compat.node.clients import COMPILED, HERE, Node, Server
from tests.crash.processes import running
from tests.crash.server import DEADLINE_S, stepwell

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        print("an order came")

        def refund():
            raise ValueError("the bank is closed")

        @step.do(rollback=refund, rollback_config={"retries": {"limit": 0, "delay": 0}})
        async def charge():
            return {"charged": event["payload"]["orderId"]}

        await charge()
        approval = await step.wait_for_event("approval", "approved")
        return approval["payload"]
"""

_EXAMPLE = re.compile(
    r'<details name="example"[^>]*><summary>([^<]+)</summary><pre[^>]*><code>(.*?)</code></pre></details>', re.DOTALL
)
_PLACEHOLDER = re.compile(r"<code>([^<]+)</code> is a placeholder")


class Shop(Server):
    """A server of the account and the script that the examples name."""

    account = "local"
    place = ("--store", "sqlite:///data/store.db", "--account", account)

    def __init__(self, folder: Path) -> None:
        (folder / "shop.py").write_text(SOURCE)
        super().__init__(folder, "shop.py", "--allow-deploy")

    def __enter__(self) -> "Shop":
        return self

    @functools.cached_property
    def token(self) -> str:
        """A token for everything, uploads of code too."""
        scopes = ("write", "deploy", "audit", "webhooks", "metrics")
        given = [part for scope in scopes for part in ("--scope", scope)]
        return stepwell(self.folder, "token", "create", *self.place, *given).stdout.strip()

    def examples(self, id: str) -> dict[str, str]:
        """Return the examples on the page of an operation, by language; what it calls a placeholder is replaced."""
        with urllib.request.urlopen(f"{self.url}/docs/{id}", timeout=DEADLINE_S) as answer:
            page = answer.read().decode()
        if id.startswith("workers-scripts-"):
            page = page.replace(EXAMPLE_VERSION, self._script_version())
        # That of a delivery has that of its webhook in it.
        placeholders = sorted(_PLACEHOLDER.findall(page), key=len, reverse=True)
        for placeholder, real in zip(placeholders, self._real(id), strict=False):
            page = page.replace(placeholder, real)
        return {language: html.unescape(text) for language, text in _EXAMPLE.findall(page)}

    def begin(self) -> None:
        """Let there be a workflow with a schedule, without instances, and no webhook."""
        if "order" in self.names():
            self._change("DELETE", None)
        for webhook in self._own("GET", "webhooks"):
            self._own("DELETE", f"webhooks/{webhook['id']}")
        self._change("PUT", {"script_name": "shop", "class_name": "Order", "schedules": [{"cron": "0 9 * * MON-FRI"}]})

    def clear(self) -> int:
        """Delete the instances; return how many there were."""
        instances = self.call("/order/instances")
        for instance in instances:
            self._change("DELETE", None, f"/instances/{instance['id']}")
        return len(instances)

    def drop(self, id: str) -> list[str]:
        """Delete an instance; return the ids of the others."""
        self._change("DELETE", None, f"/instances/{id}")
        return [str(instance["id"]) for instance in self.call("/order/instances")]

    def begin_again(self, id: str) -> Any:
        """Restart an instance; return its status once it waits."""
        self._change("PATCH", {"status": "restart"}, f"/instances/{id}/status")
        return self.wait_for_status("order", id, "waiting")["status"]

    def fail_rollback(self, id: str) -> Any:
        """Terminate an instance, whose rollback fails; return how that went."""
        body = {"status": "terminate", "rollback": True}
        self._change("PATCH", body, f"/instances/{id}/status")
        return self.wait_for_status("order", id, "terminated")["rollback"]["outcome"]

    def names(self) -> list[str]:
        """Return the names of the workflows."""
        return [workflow["name"] for workflow in self.call("")]

    def _script_version(self) -> str:
        """Return the id of the version of the script that is served."""
        asked = urllib.request.Request(
            f"{self.api}/accounts/local/workers/scripts/shop/deployments",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(asked, timeout=DEADLINE_S) as answer:
            return str(json.load(answer)["result"]["deployments"][0]["versions"][0]["version_id"])

    def _real(self, id: str) -> list[str]:
        """Return what stands for the placeholders on the page of an operation, the longest first."""
        if "-jobs-" in id:
            # It finds nothing to do.
            body = {"action": "pause", "workflow_name": "order", "filter": {"prefix": "nobody"}}
            return [self._post("jobs", body)]
        if "-webhooks-" in id:
            webhook = self._post("webhooks", {"url": "https://receiver.example/hook"})
            delivery = self._post(f"webhooks/{webhook}/test")
            return [delivery, webhook] if id.endswith("redeliver") else [webhook]
        return [self.call("/order/versions")[0]["id"]]

    def _post(self, path: str, body: Any = None) -> str:
        """Ask for something at one of Stepwell's own routes; return the id of what that makes."""
        return str(self._own("POST", path, body or {})["id"])

    def _own(self, method: str, path: str, body: Any = None) -> Any:
        """Ask one of Stepwell's own routes; return its result."""
        asked = urllib.request.Request(
            f"{self.api}/accounts/local/stepwell/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(asked, timeout=DEADLINE_S) as answer:
            return json.load(answer)["result"]

    def _change(self, method: str, body: Any, of: str = "") -> None:
        data = None if body is None else json.dumps(body).encode()
        url, headers = f"{self.api}/accounts/local/workflows/order{of}", {"Authorization": f"Bearer {self.token}"}
        urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=DEADLINE_S).close()


@dataclass(frozen=True)
class Outcome:
    """What came of an example: what it printed, and what went wrong."""

    said: str
    error: str | None = None


# Runs the example of an operation.
Player = Callable[[str, str], Outcome]


@dataclass
class Played:
    """What came of the examples of a language, by operation, and how the server stood behind some of them."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)


def play(shop: Shop, examples: Mapping[str, str], run: Player, look: Mapping[str, Callable[[Shop], Any]]) -> Played:
    """Run examples one after another, and look at the server behind those that say how."""
    played = Played()
    for id, text in examples.items():
        played.outcomes[id] = outcome = run(id, text)
        if id in look and outcome.error is None:
            played.left[id] = look[id](shop)
    return played


def in_shell(shop: Shop, home: Path, path: Path) -> Player:
    """Return what runs examples as a person at a shell does, with programs of a folder before all others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPWELL_", "CLOUDFLARE_"))}
    env = {**kept, "PATH": f"{path}:{os.environ['PATH']}", "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    env |= {"CLOUDFLARE_API_TOKEN": shop.token, "CI": "1", **COMPILED}
    # Without these wrangler looks for a newer version of itself, and for who uses it.
    env |= {"WRANGLER_HIDE_BANNER": "true", "WRANGLER_SEND_METRICS": "false", "WRANGLER_SEND_ERROR_REPORTS": "false"}

    # What an example uploads.
    (home / "shop.py").write_text(SOURCE)

    # Some operations have the same example.
    @functools.cache
    def ran(text: str) -> Outcome:
        done = subprocess.run(
            ["sh", "-ec", text],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE_S,
            check=False,
        )
        is_refused = '"success":false' in done.stdout
        return Outcome(done.stdout, f"{done.stdout}{done.stderr}" if done.returncode or is_refused else None)

    return lambda _, text: ran(text)


def with_npx(node: Node, folder: Path) -> None:
    """Lay out a folder with an `npx` that does what npm's does with programs that are installed, and sooner."""
    (folder / "node").symlink_to(node.program)
    (folder / "node_modules").symlink_to(node.packages)
    npx = folder / "npx"
    npx.write_text('#!/bin/sh\nprogram=$1\nshift\nexec "node_modules/.bin/$program" "$@"\n')
    npx.chmod(0o755)


def in_python(id: str, text: str) -> Outcome:
    """Run an example in this process."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(text, id, "exec"), {})
    except Exception as error:  # whatever an example raises is what came of it
        return Outcome(said.getvalue(), f"{type(error).__name__}: {error}")
    return Outcome(said.getvalue())


@contextlib.contextmanager
def in_node(node: Node, folder: Path, shop: Shop, programs: Mapping[str, str]) -> Iterator[Player]:
    """Compile programs of TypeScript, all at once, and give what runs them: but none that the compiler refuses."""
    for name in ("package.json", "tsconfig.json", "examples.mjs"):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(node.packages)
    for id, text in programs.items():
        (folder / f"{id}.ts").write_text(text)
    compiled = node.run(node.packages / "typescript" / "bin" / "tsc", "--project", folder, cwd=folder)
    env = {**os.environ, "CLOUDFLARE_API_TOKEN": shop.token}
    with running([node.program, "examples.mjs"], cwd=folder, env=env, stdin=subprocess.PIPE) as process:

        def run(id: str, _: str) -> Outcome:
            errors = [line for line in compiled.stdout.splitlines() if line.startswith(f"{id}.ts(")]
            if errors:
                return Outcome("", "\n".join(errors))
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{folder / 'out' / id}.js\n")
            process.stdin.flush()
            return Outcome(**json.loads(process.stdout.readline()))

        yield run
        process.communicate(timeout=DEADLINE_S)
