"""A real `stepwell serve`: tokens, several workers, and what other commands do with its store meanwhile."""

import os
import signal
from pathlib import Path

import cloudflare
import pytest

from tests.crash.server import DevServer, stepwell, wait_until

SOURCE = """
import os

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        def where():
            import time
            time.sleep(0.05)
            return os.getpid()

        return await where()
"""


class Server(DevServer):
    """A server that asks for tokens."""

    command = "serve"
    place = ("--store", "sqlite:///data/store.db", "--account", "acme")


def client(server: DevServer, token: str) -> cloudflare.Cloudflare:
    """Return Cloudflare's own client for a server."""
    return cloudflare.Cloudflare(api_token=token, base_url=f"{server.url}/client/v4", max_retries=0)


def _statuses(sdk: cloudflare.Cloudflare) -> set[str]:
    """Return the statuses that instances have."""
    return {str(instance.status) for instance in sdk.workflows.instances.list("order", account_id="acme", per_page=100)}


STORE = ("--store", "sqlite:///data/store.db")


def test_server_takes_tokens_that_are_made_while_it_runs(tmp_path: Path) -> None:
    """The first start says how to make a token; one that is revoked is refused from then on."""
    (tmp_path / "flows.py").write_text(SOURCE)

    with Server(tmp_path) as server:
        server.wait_for_line("There is no token yet. Make one in another terminal: stepwell token create --store ")
        made = stepwell(tmp_path, "token", "create", *STORE, "--account", "acme", "--scope", "write")
        token = made.stdout.strip()
        sdk = client(server, token)
        sdk.workflows.instances.create("order", account_id="acme", instance_id="a")
        wait_until(lambda: _statuses(sdk) == {"complete"}, lambda: server.log)
        listed = stepwell(tmp_path, "token", "list", *STORE)
        revoked = stepwell(tmp_path, "token", "revoke", token.split("_")[1], *STORE)
        with pytest.raises(cloudflare.AuthenticationError):
            sdk.workflows.list(account_id="acme")
        again = stepwell(tmp_path, "token", "revoke", token.split("_")[1], *STORE)
        code = server.terminate()

    assert (made.returncode, made.stderr, made.stdout.count("\n")) == (0, "", 1)
    assert listed.stdout.split("\t")[:4] == [token.split("_")[1], "acme", "good", "Workers Scripts Write"]
    assert token not in listed.stdout
    assert (revoked.returncode, again.returncode) == (0, 4)
    assert code == 0
    assert token not in server.log


def test_instances_are_shared_among_workers_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    """Several processes take instances; one that is killed costs nothing, and another takes its place."""
    (tmp_path / "flows.py").write_text(SOURCE)

    with Server(tmp_path, "flows.py", "--workers", "3") as server:
        workers = set(server.workers())
        token = stepwell(tmp_path, "token", "create", *STORE, "--account", "acme", "--scope", "write").stdout.strip()
        sdk = client(server, token)
        ids = [f"i{n}" for n in range(60)]
        for id in ids:
            sdk.workflows.instances.create("order", account_id="acme", instance_id=id)
        os.kill(min(workers), signal.SIGKILL)
        wait_until(lambda: _statuses(sdk) == {"complete"}, lambda: server.log)
        pids = {sdk.workflows.instances.get(id, account_id="acme", workflow_name="order").output for id in ids}
        wait_until(lambda: len(server.workers()) == 3, lambda: server.log)

        assert len(pids) > 1
        assert len(set(server.workers()) - workers) == 1


@pytest.mark.sqlite
def test_second_server_on_a_store_is_refused(tmp_path: Path) -> None:
    """It names the first one's process id."""
    (tmp_path / "flows.py").write_text(SOURCE)

    with Server(tmp_path) as server:
        second = stepwell(tmp_path, "serve", "flows.py", "--port", "0", *STORE)

    assert second.returncode == 1
    assert f"is in use by process {server.process.pid}: stop that one first" in second.stderr
