"""What README.md and docs/ show to be typed into a shell is typed there, and does to real servers what they say."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import httpx
import pytest

from tests import postgres
from tests.crash.server import ask_store, wait_until
from tests.docs.left_out import NOT_TYPED
from tests.docs.reader import STORE, Reader, Served, alike, is_left_out
from tests.docs.snippets import ROOT, lines, shown
from tests.traces.receiver import receiving

pytestmark = pytest.mark.sqlite

HAS_POSTGRES = postgres.is_there()
Reads = Callable[..., Reader]
# Workflows of the names that pages have, which do what their commands are about.
FLOWS = """
import asyncio

from pathlib import Path

from stepwell import WorkflowEntrypoint


class CardDeclined(Exception):
    pass


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        asked = event["payload"]

        @step.do("charge", config={"retries": {"limit": asked.get("retries", 0), "delay": asked.get("delay", 1)}})
        async def charge():
            if asked.get("declined"):
                raise CardDeclined("insufficient funds")
            return {"paid": True}

        @step.do("export")
        async def export():
            return [1, 2]

        @step.do("ship")
        async def ship():
            return "shipped"

        await asyncio.gather(charge(), *[step.sleep("nap", "1 day")] * bool(asked.get("naps")))
        await export()
        if asked.get("waits"):
            await step.wait_for_event("approval", "approved")
        if asked.get("fails"):
            raise ValueError("no")
        return await ship()


class Refund(WorkflowEntrypoint):
    async def run(self, event, step):
        return (await step.wait_for_event("approve refund", "decided"))["payload"]["approved"]


class Report(WorkflowEntrypoint):
    schedules = "0 9 * * MON-FRI"

    async def run(self, event, step):
        return None


class Trip(WorkflowEntrypoint):
    async def run(self, event, step):
        async def cancel():
            if Path(event["payload"]["closed"]).exists():
                raise ValueError("closed")

        await step.do("book", lambda: 1, rollback=cancel, rollback_config={"retries": {"limit": 0, "delay": 1}})
        await step.sleep("stay", "1 day")
"""


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Readers of pages; all that they have not typed in the end they should have, or it is in left_out.py."""
    readers = []

    def read(page: str, folder: Path = tmp_path, *, on_postgres: bool = False) -> Reader:
        readers.append(Reader(page, folder, monkeypatch, on_postgres=on_postgres))
        return readers[-1]

    yield read
    assert [str(line) for reader in readers for line in reader.left] == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of those workflows for the pages that start none."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "app").mkdir()
    (folder / "app" / "flows.py").write_text(FLOWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with Served(folder, "stepwell serve app --port 0 --set webhook_networks=loopback") as server:
            yield server


@pytest.fixture
def asks(reads: Reads, shop: Served, monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Readers of pages whose commands ask that server, and may do what these scopes allow."""

    def read(page: str, *scopes: str) -> Reader:
        reader = reads(page, shop.folder)
        reader.has(STEPWELL_URL=shop.url)
        if scopes:
            reader.may(*scopes)
        return reader

    return read


def test_every_line_is_typed_or_is_left_out_with_a_reason() -> None:
    """Each page has a test here; what is left out is there, and the test that its reason names exists."""
    typed = set(re.findall(r'(?:reads|asks)\("([\w./-]+)"', Path(__file__).read_text("utf-8")))
    shown = [line for line in lines() if not is_left_out(line)]
    gone = [
        f"{page}: {begins}"
        for page, begins, _ in NOT_TYPED
        if not any(line.page.startswith(page) and line.text.startswith(begins) for line in lines())
    ]
    tests = {name for _, _, reason in NOT_TYPED for name in re.findall(r"tests/[\w/]+\.py", reason)}

    assert gone == []
    assert [str(line) for line in shown if line.page not in typed] == []
    assert [name for name in tests if not (ROOT / name).is_file()] == []
    assert len(shown) > 80


def test_readme(reads: Reads) -> None:
    """Four workers serve, and who has the token that is made creates an instance."""
    reader = reads("README.md")
    reader.writes(app__flows_py=FLOWS)

    with reader.serves(".venv/bin/stepwell serve app/ --workers 4") as server:
        assert len(server.workers()) == 4
        reader.run("stepwell trigger report", code=3)
        reader.has(STEPWELL_TOKEN=reader.types(".venv/bin/stepwell token create --scope write").strip())
        reader.run("stepwell trigger report")


def test_audit(asks: Reads, shop: Served) -> None:
    """The token reads the audit log, which has what was done, and nothing else."""
    shop.has("waiting", audit_1={"waits": True})
    reader = asks("docs/audit.md", "write")
    reader.run("stepwell instances terminate order audit-1 --yes")

    token = reader.types("stepwell token create").strip()
    reader.has(STEPWELL_TOKEN=token)
    listed = reader.types("stepwell audit list")
    reader.types("stepwell audit export")

    assert "instance.terminate" in listed
    assert "audit-1" in (shop.folder / "audit.csv").read_text()
    reader.run("stepwell instances list order", code=3)


def test_authoring(asks: Reads, shop: Served) -> None:
    """Each decision is taken where the instance is."""
    shop.create("order", "order-1", {"declined": True, "retries": 3, "delay": "1 hour", "naps": True, "waits": True})
    wait_until(lambda: shop.attempts("order-1") == [False], lambda: shop.log)
    reader = asks("docs/authoring.md", "write")
    reader.types("stepwell instances step-retry")
    wait_until(lambda: shop.attempts("order-1") == [False, False], lambda: shop.log)
    reader.types("stepwell instances step-skip")
    reader.types("stepwell instances step-complete")
    shop.wait_for_status("order", "order-1", "waiting")
    reader.types("stepwell instances step-fail")

    ended = shop.wait_for_status("order", "order-1", "errored")
    assert (ended["error"]["name"], ended["error"]["message"]) == ("ValueError", "too late")
    (charged,) = [json.loads(step["output"]) for step in ended["steps"] if step["name"] == "charge-1"]
    assert charged == {"chargeId": "c_1"}


# The two versions of docs/cli.md: what its page shows of them is where and how they differ.
A = """\
from stepwell import WorkflowEntrypoint
class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", lambda: charge(event))
        await step.do("export", lambda: [1, 2])




        # What is
        # left to
        # do:
        #
        await step.do("pack", lambda: None)
        await step.do("ship", lambda: None)


class CardDeclined(Exception):
    pass


def charge(event):
    if "declined" in event["payload"]:
        raise CardDeclined("insufficient funds")
"""
B = (
    A.replace(
        "charge(event))", 'charge(event), config={"retries": {"limit": 2, "delay": 1000, "backoff": "constant"}})'
    )
    .replace('        await step.do("pack", lambda: None)\n', "")
    .replace(
        '        await step.do("ship", lambda: None)\n',
        '        await step.do("ship", lambda: None)\n        await step.wait_for_event("approval", "ok")\n'
        '        await step.do("pack", lambda: None)\n',
    )
)


def test_cli(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed in with a token that is typed, on a server that has two versions of a workflow."""
    reader = reads("docs/cli.md")
    reader.writes(app__flow_py=A)

    with Served(reader.folder, "stepwell serve app --port 0 --allow-deploy") as server:
        reader.instead |= {"https://stepwell.example.com": server.url, "https://api.cloudflare.com": server.url}
        token = reader.may("read", "write", "deploy")
        reader.writes(app__flow_py=B)
        reader.run(f"stepwell deploy app --to {server.url}")
        monkeypatch.delenv("STEPWELL_TOKEN")
        reader.types("stepwell login", answers={"ccount [": "\n", "oken": f"{token}\n"})
        assert "Workers Scripts Write" in reader.types("stepwell whoami")
        server.has("errored", order_7={"declined": True}, order_9={"declined": True})
        server.has("waiting", order_8={}, order_10={})
        reader.types("stepwell instances describe")
        reader.instead |= {"order-7 export-1": "order-8 export-1"}
        reader.types("stepwell instances step")
        assert (reader.folder / "export.csv").read_text() == "[1,2]"
        reader.types("stepwell workflows compare")
        for part in ("list", "describe", "versions", "compare", "graph"):
            reader.types(f"stepwell workflows {part}")
        reader.types("stepwell instances terminate")
        reader.instead |= {"37 instances": "2 instances", "type 37": "type 2"}
        reader.types("stepwell instances terminate", answers={"type 2:": "2\n"})
        reader.instead |= {"=...": f"={token}", "0123...": "local"}
        assert len(reader.types("STEPWELL_TOKEN=").splitlines()) == 4
        reader.types("stepwell instances list")
        wait_until(lambda: server.attempts("order-7") == [False] * 3, lambda: server.log)
        assert (reader.folder / "order.svg").read_text().startswith("<svg")
        reader.types("stepwell workflows delete", answers={"type order:": "order\n"})
        reader.types("stepwell logout")
        reader.types("stepwell init")
        with reader.serves("cd orders"):
            pass


def test_dashboard(reads: Reads) -> None:
    """The server answers below the path, and to the name of the proxy."""
    reader = reads("docs/dashboard.md")
    reader.writes(flows_py=FLOWS)

    token = reader.types("stepwell token create").strip()
    with reader.serves("stepwell serve .") as server:
        answers = [
            httpx.get(f"{url}/healthz", headers={"host": host}).status_code
            for host in ("127.0.0.1", "flows.example.com")
            for url in (server.url, server.url.removesuffix("/stepwell"))
        ]

    assert token.startswith("sw_")
    assert answers == [200] * 4


# What docs/deploying.md shows of `stepwell check` is about.
SHOP = """\
from stepwell import WorkflowEntrypoint
class Shop(WorkflowEntrypoint):
    async def run(self, event, step):
        if event["payload"]:
            await step.do("charge", lambda: 1)
            await step.sleep("rest", "1 day")
        await step.wait_for_event("go", "go")
"""


def test_deploying(reads: Reads) -> None:
    """Code comes by the token, is checked, and goes back; instances move to it, and are forked."""
    reader = reads("docs/deploying.md")
    reader.writes(flows__flows_py=FLOWS, flows__shop_py=SHOP)

    with reader.serves("stepwell serve --allow-deploy") as server:
        reader.instead |= {"https://flows.example.com": server.url}
        reader.has(STEPWELL_TOKEN=reader.types("stepwell token create").strip())
        assert "shop.py" in reader.types("stepwell deploy")
        reader.types("stepwell deploy")
        server.has("waiting", order_1={"waits": True}, order_2={"waits": True})
        server.has("errored", order_3={"fails": True})
        server.has("waiting", "shop", o_1={"a": 1}, o_2={"a": 1}, o_3={"a": 1}, o_4={})
        reader.writes(flows__shop_py=SHOP.replace("charge", "charge card"))
        checked = [reader.types(f"stepwell {part}", code=1, answers={}) for part in ("check", "check", "deploy")]
        reader.writes(flows__shop_py=SHOP)

        reader.may("write", "deploy")
        _deploy(reader, "2 days")
        reader.types("stepwell instances move", answers={"type 2:": "2\n"})
        _deploy(reader, "3 days")
        newest = reader.run("stepwell workflows versions order --limit 1 -o ids").strip()
        reader.instead |= {"0190ce0e-5a5b-4a57-8a3f-2c2f1f2e9c11": newest}
        reader.types("stepwell instances move", answers={"type 2:": "2\n"})
        reader.run("stepwell instances send-event order order-1 --type approved")
        server.wait_for_status("order", "order-1", "complete")
        forks = [reader.types("stepwell instances fork").strip().split("\t") for _ in range(2)]
        forks.append(reader.types("stepwell instances fork", answers={"[y/N]": "y\n"}).split())

        listed = reader.types("stepwell deployments list").splitlines()
        back, again = (reader.types("stepwell rollback").split("\t")[:2] for _ in range(2))
    reader.has(PAYMENT_KEY="k")
    with reader.serves("PAYMENT_KEY="):
        pass

    said = shown("docs/deploying.md", "text")[0].replace("412", "6").replace("409", "3")
    assert [alike(one)[:4] for one in checked] == [alike(said)] * 3
    assert [fork[2] for fork in forks[:2]] == ["order-1"] * 2
    assert "order-3" in forks[2]
    assert [line.split("\t")[:2] for line in listed] == [["3", "served"], ["2", "-"], ["1", "-"]]
    assert (back, again) == (["2", "served"], ["3", "served"])


def _deploy(reader: Reader, nap: str) -> None:
    reader.writes(flows__flows_py=FLOWS.replace("1 day", nap))
    reader.run(f"stepwell deploy flows --to {os.environ['STEPWELL_URL']}")


def test_deployment(reads: Reads, tmp_path: Path) -> None:
    """A backup is made beside a server, and is a store elsewhere."""
    reader = reads("docs/deployment.md")
    reader.writes(flows__flows_py=FLOWS)
    reader.instead |= {
        "sudo -u stepwell /srv/stepwell/venv/bin/": "",
        "/srv/": f"{tmp_path}/srv/",
        "/var/lib/": f"{tmp_path}/var/lib/",
    }
    for name in ("srv/stepwell", "var/lib/stepwell"):
        (tmp_path / name).mkdir(parents=True)
    reader.types("cp -r")

    store = "var/lib/stepwell/stepwell.db"
    line = f"stepwell serve srv/stepwell/app --port 0 --allow-deploy --store sqlite:///{tmp_path / store}"
    with Served(tmp_path, line, store) as server:
        reader.instead |= {"http://127.0.0.1:8787": server.url}
        reader.types("sudo -u stepwell /srv/stepwell/venv/bin/stepwell token create")
        reader.may("deploy", store=store)
        reader.types("stepwell deploy")
        reader.types("sudo -u stepwell /srv/stepwell/venv/bin/stepwell backup")
        assert (tmp_path / "var/lib/stepwell/saved.db").stat().st_mode & 0o777 == 0o600
    reader.types("sudo -u stepwell /srv/stepwell/venv/bin/stepwell restore")
    assert (tmp_path / "var/lib/stepwell-2/stepwell.db").is_file()


def test_approvals_of_agents(asks: Reads, shop: Served) -> None:
    """The event is what a run waits for."""
    shop.has("waiting", "refund", first={}, second={})
    readers = asks("docs/guides/openai-agents.md", "write"), asks("docs/guides/pydantic-ai.md", "write")

    for reader, id in zip(readers, ("first", "second"), strict=True):
        reader.instead |= {"ID": id}
        reader.types("stepwell instances send-event")

        assert shop.wait_for_status("refund", id, "complete")["output"] == "true"


def test_rollback(asks: Reads, shop: Served) -> None:
    """A rollback that fails goes on when its cause is mended."""
    reader, closed = asks("docs/guides/rollback.md", "write"), shop.folder / "closed"
    closed.touch()
    shop.has("waiting", "trip", trip_7={"closed": str(closed)})

    reader.types("stepwell instances terminate", answers={"[y/N]": "y\n"})
    shop.wait_for_status("trip", "trip-7", "terminated")
    closed.unlink()
    reader.types("stepwell instances resume-rollback")

    wait_until(lambda: shop.get("trip", "trip-7")["rollback"]["outcome"] == "complete", lambda: shop.log)


def test_internals(reads: Reads, require: Callable[..., None]) -> None:
    """Of a store whose server is gone, sqlite3 tells what is due and nobody takes."""
    require("sqlite3", "the page's own command")
    reader = reads("docs/internals.md")
    reader.writes(app__flows_py=FLOWS)
    with Served(reader.folder, "stepwell serve app --port 0") as server:
        server.has("waiting", order_1={"naps": True})
    ask_store(reader.folder / STORE, "update instances set due_at = 1000")

    assert reader.types("sqlite3 ") == "order-1|1970-01-01 00:00:01\n"


def test_mcp(asks: Reads) -> None:
    """The token reads."""
    reader = asks("docs/mcp.md")

    reader.has(STEPWELL_TOKEN=reader.types("stepwell token create").strip())

    assert "order" in reader.run("stepwell workflows list")
    reader.run("stepwell instances delete order none --yes", code=3)


def test_migrate_cloudflare(reads: Reads) -> None:
    """A project is served as its wrangler file says."""
    reader = reads("docs/guides/migrate-cloudflare.md")
    parcel = next(one for one in shown("docs/guides/migrate-cloudflare.md", "python") if "class ParcelWorkflow" in one)
    project = reader.folder / "path/to/project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "entry.py").write_text(parcel)
    (project / "wrangler.toml").write_text(
        'name = "parcels"\nmain = "src/entry.py"\n'
        '[[workflows]]\nname = "parcel"\nbinding = "PARCEL"\nclass_name = "ParcelWorkflow"\n'
    )

    with reader.serves("stepwell dev") as server:
        server.has("waiting", "parcel", one={"cents": 4200})


def test_operating(reads: Reads, require: Callable[..., None]) -> None:
    """The token reads metrics; the log is lines of JSON, of which jq finds one, and the store has a worker's death."""
    require("jq", "the page's own command")
    reader = reads("docs/operating.md")
    reader.writes(app__flows_py=FLOWS)
    reader.instead |= {"/etc/prometheus": str(reader.folder), "journalctl -u stepwell -o cat": "cat log"}

    with reader.serves("stepwell serve app --log-format json") as server:
        reader.types("stepwell token create")
        token = (reader.folder / "stepwell.token").read_text().strip()
        told = httpx.get(f"{server.url}/metrics", headers={"authorization": f"Bearer {token}"}).text
        refused = httpx.get(f"{server.url}/client/v4/accounts/local/workflows", headers={"authorization": "Bearer no"})
        request = refused.headers["x-request-id"]
        server.wait_for_line(request)
        (reader.folder / "log").write_text("\n".join(line for line in server.lines if line.startswith("{")))
        reader.instead |= {"5f0c9a1e2b3d4c5e": request}

        line = json.loads(reader.types("journalctl"))
        reader.may("read", "metrics")
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: reader.run("stepwell facts list --event worker.died"), lambda: server.log)
        died = reader.types("stepwell facts list")

    assert "stepwell_instances_ended_total" in told
    assert (line["request"], line["level"]) == (request, "warning")
    assert "died of SIGKILL" in died


def test_schedules(asks: Reads, shop: Served) -> None:
    """A schedule is paused, resumed, run and changed."""
    reader = asks("docs/schedules.md", "write")
    reader.instead |= {"[WORKFLOW]": "report", "WORKFLOW": "report", "CRON": "'0 9 * * MON-FRI'"}

    said = {}
    for part in ("list", "pause", "resume", "run", "set"):
        said[part] = reader.types(f"stepwell schedules {part}").strip().split("\t")

    assert said["list"][:2] == ["report", "0 9 * * MON-FRI"]
    assert (said["pause"][5], said["resume"][5]) == ("paused", said["list"][5])
    assert said["run"][0].startswith("manual-")
    assert said["set"][3:5] == ["Europe/Berlin", "skip"]


def test_search(asks: Reads, shop: Served) -> None:
    """An instance is found by its labels, and a job begins anew what has failed."""
    reader = asks("docs/search.md", "write")
    shop.has("errored", search_1={"fails": True})

    reader.types("stepwell trigger")
    reader.types("stepwell jobs start", answers={"type order:": "order\n"})

    found = reader.run("stepwell instances list --label customer=ann --label env=prod -o ids").split()
    assert len(found) == 1


def test_settings(reads: Reads) -> None:
    """A file of settings holds in place of the project's."""
    reader = reads("docs/settings.md")
    of_the_project, of_the_file = '[settings]\npayload_size = "2 MiB"\n', "[settings]\npayload_size = 16\n"
    reader.writes(app__flows_py=FLOWS, app__stepwell_toml=of_the_project, production_toml=of_the_file)
    reader.instead |= {"/etc/stepwell": str(reader.folder), "PATH": "app"}

    told = reader.types("stepwell settings")
    with reader.serves("stepwell serve app --config") as server, pytest.raises(HTTPError) as refused:
        server.create("order", "order-1", {"item": "more than 16 bytes"})

    assert re.match(r"payload_size\t2 MiB\t2097152 bytes\t.*/app/stepwell.toml\t", told)
    with refused.value as answer:
        assert "at most 16 " in json.load(answer)["errors"][0]["message"]


def test_stores(reads: Reads, require: Callable[..., None]) -> None:
    """A store is encrypted, brought up to date, backed up, and is there again elsewhere."""
    require("openssl", "the page's own command")
    reader = reads("docs/stores.md")
    reader.writes(app_py=FLOWS)
    reader.instead |= {"URL": f"sqlite:///{STORE}"}

    reader.types("echo ")
    assert (reader.folder / "stepwell.keys").stat().st_mode & 0o777 == 0o600
    with reader.serves("STEPWELL_ENCRYPTION_KEYS_FILE=") as server:
        server.has("waiting", order_1={"naps": True, "card": "4242"})
    assert b"4242" not in (reader.folder / STORE).read_bytes()
    reader.run("stepwell export order order-1", code=1)

    reader.has(STEPWELL_ENCRYPTION_KEYS_FILE="stepwell.keys")
    reader.types("stepwell migrate --check")
    reader.types("stepwell migrate")
    reader.types("stepwell backup")
    reader.types("stepwell restore")
    assert "4242" in reader.run("stepwell export order order-1 --store sqlite:///new/stepwell.db")


def test_stores_on_postgresql(reads: Reads, require: Callable[..., None]) -> None:
    """A store is copied there, and served."""
    require(postgres.REASON, "a store in it", HAS_POSTGRES)
    reader, doctor = (reads(page, on_postgres=True) for page in ("docs/stores.md", "docs/cli.md"))
    reader.writes(app__flows_py=FLOWS)
    for one in (reader, doctor):
        one.instead |= {"postgresql://stepwell@db/stepwell": f"'{postgres.databases.make()}'"}

    token = reader.run("stepwell token create").strip()
    reader.types("stepwell copy")
    with reader.serves("stepwell serve"):
        # The database of these tests does not wait for its disk.
        reader.has(STEPWELL_TOKEN=token)
        told = doctor.types("stepwell doctor", code=1)

    assert [line.split("\t")[:2] for line in told.splitlines() if line[:2] != "ok"] == [["fault", "durability"]]


def test_histories(asks: Reads, shop: Served) -> None:
    """The export of an instance is lines of JSON."""
    shop.create("order", "42")
    shop.wait_for_status("order", "42", "complete")
    reader = asks("docs/testing-replay.md")

    reader.types("mkdir ")
    reader.types("stepwell export")

    first, *_ = (shop.folder / "tests/histories/order-42.jsonl").read_text().splitlines()
    assert '"42"' in first


def test_tracing(reads: Reads) -> None:
    """What has ended is sent to the collector."""
    reader = reads("docs/tracing.md")
    reader.writes(app__flows_py=FLOWS)
    with receiving() as collector:
        reader.instead |= {"http://collector:4318": collector.url}
        reader.types("export OTEL_EXPORTER")
        reader.types("export OTEL_SERVICE")
        with reader.serves("stepwell serve") as server:
            server.call("/order/instances/batch", [{"instance_id": f"order-{number}"} for number in range(100)])
            collector.wait_for(lambda: collector.spans)

    assert collector.resources[0]["service.name"] == "shop"


@contextmanager
def taking() -> Iterator[tuple[str, list[str]]]:
    """Take messages; give the address for them, and the headers by which they are known."""
    taken: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            taken.append(self.headers["webhook-id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", taken
        server.shutdown()
        thread.join()


def test_webhooks(asks: Reads, shop: Served) -> None:
    """A receiver is sent a message, and sent it again."""
    reader = asks("docs/webhooks.md")
    with taking() as (address, taken):
        reader.instead |= {"https://example.com/hook": address}
        reader.has(STEPWELL_TOKEN=reader.types("stepwell token create").strip())
        id, url, secret = reader.types("stepwell webhooks create").split()
        reader.instead |= {"DELIVERY": f"msg_{id}_1", "ID": id}
        tested = reader.types("stepwell webhooks test").split("\t")
        wait_until(lambda: reader.run(f"stepwell webhooks deliveries {id}").count("delivered"), lambda: shop.log)
        delivered = reader.types("stepwell webhooks deliveries").split("\t")
        reader.types("stepwell webhooks redeliver")
        wait_until(lambda: len(taken) == 2, lambda: shop.log)
        reader.run("stepwell instances list order", code=3)

    assert (url, secret[:6]) == (address, "whsec_")
    assert [one[:2] for one in (tested, delivered)] == [[f"msg_{id}_1", "test"]] * 2
    assert delivered[5] == "delivered"
    assert taken == [f"msg_{id}_1"] * 2
