"""A server whose store is encrypted: killed, started again, without its keys, and with new ones."""

import base64
import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.crash.server import DevServer

pytestmark = pytest.mark.sqlite

SECRET = "hidden-treasure"
FLOW = """
import os

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        seen = await step.do("look", lambda: [name for name in os.environ if "ENCRYPTION" in name])
        got = await step.wait_for_event("approval", "approved")
        return [event["payload"], seen, got["payload"]]
"""


def _key(byte: bytes) -> str:
    return base64.b64encode(byte * 32).decode()


OLD, NEW = f"2025:{_key(b'1')}", f"2026:{_key(b'2')}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a workflow, where commands are called."""
    (tmp_path / "flows.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_keys_change_and_nothing_is_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance begins under one key, its server is killed, and it ends under another; its code sees no key."""
    store = ("--store", "sqlite:///data/stepwell.db")
    monkeypatch.setenv("STEPWELL_ENCRYPTION_KEYS", OLD)
    with DevServer(folder) as server:
        server.create("order", "one", SECRET)
        server.wait_for_status("order", "one", "waiting")
        server.kill()
    monkeypatch.delenv("STEPWELL_ENCRYPTION_KEYS")
    refused = run("backup", "saved.db", *store), run("token", "list", *store), run("doctor", *store)

    (folder / "keys").write_text(f"{NEW}\n{OLD}\n")
    monkeypatch.setenv("STEPWELL_ENCRYPTION_KEYS_FILE", str(folder / "keys"))
    with DevServer(folder) as server:
        sealed = run("reencrypt", *store, "-o", "json")
        server.call("/order/instances/one/events/approved", {"also": SECRET})
        output = json.loads(server.wait_for_status("order", "one", "complete")["output"])
    (folder / "keys").write_text(NEW)
    again, looked = run("reencrypt", *store), run("doctor", *store)

    assert output == [SECRET, [], {"also": SECRET}]
    assert [one.exit_code for one in (sealed, again)] == [0, 0], (sealed.output, again.output)
    assert '"sealed": 2' in sealed.stdout.replace("\n", " ")
    assert "all payloads are sealed with the key 2026" in again.stderr
    assert "payloads are sealed with the key 2026; not here: 2025" in looked.output
    assert SECRET.encode() not in (folder / "data/stepwell.db").read_bytes()
    # Pages are copied as they are; what opens payloads is told what it lacks.
    assert [one.exit_code for one in refused] == [0, 1, 1]
    assert all('sealed with the key "2025", which is not here' in one.output for one in refused[1:])
    with sqlite3.connect(folder / "saved.db") as saved:
        assert saved.execute("select count(*) from encryption_keys").fetchone() == (1,)


def test_no_server_starts_without_the_keys_of_its_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor with words that are no keys: it says what helps, and no word of a key."""
    monkeypatch.setenv("STEPWELL_ENCRYPTION_KEYS", NEW)
    with DevServer(folder):
        pass

    told = []
    for keys in ("", f"2026:{_key(b'1')}", NEW[:-6]):
        monkeypatch.setenv("STEPWELL_ENCRYPTION_KEYS", keys)
        told.append(run("reencrypt", "--store", "sqlite:///data/stepwell.db"))
    told.append(run("reencrypt", "--store", "sqlite:///data/none.db"))

    assert [one.exit_code for one in told] == [1, 1, 1, 4]
    assert 'the store is encrypted: this is sealed with the key "2026", which is not here' in told[0].output
    assert 'the key "2026" is not the one of this name' in told[1].output
    assert "openssl rand -base64 32" in told[2].output
    assert "there is no store at sqlite:///data/none.db" in told[3].output
    assert not [one for one in told if _key(b"2")[:12] in one.output or "Traceback" in one.output]


def test_store_without_keys_has_nothing_to_encrypt_with(folder: Path) -> None:
    """It is said to whom keys have to be given."""
    with DevServer(folder):
        told = run("reencrypt", "--store", "sqlite:///data/stepwell.db")

    assert told.exit_code == 2
    assert "has no keys to encrypt with" in told.output
