"""Stepwell behind a real nginx with the files that are published: over TLS, with a browser, streams and uploads."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from stepwell.api import create_app
from stepwell.api.peers import Proxies
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.http_server import HttpServer
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens
from stepwell.upload_form import form_of
from tests.crash.server import DEADLINE_S, DevServer, make_token, wait_until
from tests.dashboard import browser
from tests.deploy import nginx
from tests.deploy.nginx import NAME, Nginx

SOURCE = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.wait_for_event("approval", "approved")
        return "shipped"
"""
OTHER = b"""
from stepwell import WorkflowEntrypoint


class Bill(WorkflowEntrypoint):
    async def run(self, event, step):
        return "paid"
"""
ACCOUNT = "/client/v4/accounts/local"
ORDERS = f"{ACCOUNT}/workflows/order/instances"
# Another address of this machine than the proxy's.
ELSEWHERE = "127.0.0.9"


@dataclass
class Site:
    """A server, what is before it, and a token for all that it does."""

    server: DevServer
    nginx: Nginx
    token: str
    port: int

    def client(self, **headers: str) -> httpx.Client:
        """Return a client that comes from elsewhere, over TLS, by the published name."""
        transport = httpx.HTTPTransport(verify=self.nginx.trusting(), local_address=ELSEWHERE)
        given = {"host": f"{NAME}:{self.nginx.port}", "authorization": f"Bearer {self.token}", **headers}
        return httpx.Client(transport=transport, base_url=self.nginx.url, headers=given, timeout=DEADLINE_S)

    def create(self, instance: str, params: object = None) -> httpx.Response:
        """Create an order through the proxy."""
        with self.client() as client:
            return client.post(ORDERS, json={"instance_id": instance, "params": params})

    def status(self, instance: str) -> str:
        """Return what has become of an order."""
        with self.client() as client:
            got = client.get(f"{ORDERS}/{instance}")
        return str(got.json()["result"]["status"])


@pytest.fixture(scope="module")
def site(require: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server at a name of its own."""
    yield from _site(require, tmp_path_factory.mktemp("site"), "/")


def _site(require: Callable[..., None], folder: Path, path: str, *options: str) -> Iterator[Site]:
    require(nginx.REASON, "Stepwell is put behind it", nginx.PROGRAM is not None)
    (folder / "flows.py").write_text(SOURCE)
    token = make_token(folder, f"sqlite:///{folder / 'data/store.db'}", "write", "audit", "deploy")
    port = nginx.free_port()
    with Nginx(port, path) as before, _served(folder, port, *options) as server:
        yield Site(server, before, token, port)


def _served(folder: Path, port: int, *options: str) -> DevServer:
    class Served(DevServer):
        command = "serve"
        listens = ("--port", str(port))
        place = ("--store", "sqlite:///data/store.db")

    return Served(folder, "flows.py", "--allow-deploy", "--allow-host", NAME, "--trust-proxy", "127.0.0.1", *options)


def _read_until(lines: Iterator[str], last: str) -> list[str]:
    """Return the types of events up to one."""
    seen: list[str] = []
    while not seen or seen[-1] != last:
        line = next(lines)
        if line.startswith("data:"):
            seen.append(json.loads(line.removeprefix("data:"))["type"])
    return seen


def test_tls_speaks_http_2(site: Site) -> None:
    """Browsers that can ask over one connection do."""
    context = site.nginx.trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])

    with (
        socket.create_connection(("127.0.0.1", site.nginx.port)) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_what_comes_in_the_clear_is_sent_to_tls_but_for_programs(site: Site) -> None:
    """A browser finds the way; a program whose token goes over the wire in the clear is refused."""
    with httpx.Client(base_url=f"http://127.0.0.1:{site.nginx.plain_port}", headers={"host": NAME}) as client:
        page, asked = client.get("/workflows?a=%2F"), client.get(ORDERS)

    assert (page.status_code, page.headers["location"]) == (308, f"https://{NAME}/workflows?a=%2F")
    assert asked.status_code == 403


def test_events_come_one_by_one(site: Site) -> None:
    """A stream is neither held back nor compressed: what has happened is here before what happens next is asked for."""
    site.create("events", {"item": "book"})
    wait_until(lambda: site.status("events") == "waiting", lambda: site.server.log)
    url = f"{ACCOUNT}/stepwell/workflows/order/instances/events/events"

    with site.client() as client, client.stream("GET", url) as stream:
        lines = stream.iter_lines()
        before = _read_until(lines, "workflow_waiting")
        client.post(f"{ORDERS}/events/events/approved", json={}).raise_for_status()
        after = _read_until(lines, "workflow_completed")

    assert "content-encoding" not in stream.headers
    assert before[0] == "workflow_queued"
    assert after[-1] == "workflow_completed"


def test_cloudflares_websocket_goes_through(site: Site) -> None:
    """The upgrade reaches the server, by the token that it has made for the address, and events come by it."""
    site.create("socket")
    with site.client() as client:
        token = client.get(f"{ORDERS}/socket/subscribe/token").json()["result"]["token"]
    url = f"wss://127.0.0.1:{site.nginx.port}{ORDERS}/socket/subscribe?token={token}"

    with connect(url, ssl=site.nginx.trusting(), proxy=None) as subscription:
        first = json.loads(subscription.recv(DEADLINE_S))

    assert first["type"] == "workflow_queued"


def test_audit_log_has_the_address_that_the_request_came_from(site: Site) -> None:
    """Neither the proxy's, nor what the client itself has written there."""
    site.create("audited")
    with site.client(**{"x-forwarded-for": "203.0.113.9"}) as client:
        client.patch(f"{ORDERS}/audited/status", json={"status": "terminate"}).raise_for_status()
        entries = client.get(f"{ACCOUNT}/stepwell/audit").json()["result"]

    assert {entry["address"] for entry in entries if entry["instance_id"] == "audited"} == {ELSEWHERE}


def test_params_of_a_megabyte_go_through(site: Site) -> None:
    """As much as there may be; of what is more the server itself says what is wrong."""
    taken, refused = site.create("large", "x" * (2**20 - 2)), site.create("larger", "x" * 2**20)

    assert taken.status_code == 200, taken.text[:300]
    assert (refused.status_code, refused.json()["success"]) == (400, False)


def test_id_of_a_firing_comes_as_it_was_sent(site: Site) -> None:
    """A slash that is escaped is no part of the path."""
    with site.client() as client:
        answer = client.get(f"{ORDERS}/%2A%2F30%20%2A%20%2A%20%2A%20%2A-1786001400000")

    assert '"*/30 * * * *-1786001400000"' in answer.json()["errors"][0]["message"]


def test_answer_is_compressed_and_its_tag_still_waited_with(site: Site) -> None:
    """Nginx makes the tag of what it compresses a weak one; whoever waits for a change by it waits all the same."""
    site.create("known", "x" * 5_000)
    wait_until(lambda: site.status("known") == "waiting", lambda: site.server.log)

    with site.client() as client:
        first = client.get(f"{ORDERS}/known")
        began = time.monotonic()
        client.get(f"{ORDERS}/known", headers={"if-none-match": first.headers["etag"], "prefer": "wait=1"})

    assert (first.headers["content-encoding"], first.json()["result"]["params"]) == ("gzip", "x" * 5_000)
    assert first.headers["etag"].startswith("W/")
    assert time.monotonic() - began >= 1


def test_code_of_megabytes_is_uploaded(site: Site) -> None:
    """More than nginx takes of its own accord."""
    media_type, body = form_of({"main_module": "bills.py"}, {"bills.py": OTHER, "table.bin": bytes(5 * 2**20)})

    with site.client() as client:
        answer = client.put(f"{ACCOUNT}/workers/scripts/bills", content=body, headers={"content-type": media_type})

    assert answer.status_code == 200, answer.text[:500]


def test_browser_signs_in_with_a_cookie_of_this_host_alone(site: Site) -> None:
    """Over TLS it is `__Host-`, and a change by it, from a page of the published name, is taken."""
    origin = f"https://{NAME}:{site.nginx.port}"
    page = {"origin": origin, "x-stepwell-page": "1"}
    site.create("paused")

    with site.client() as client:
        del client.headers["authorization"]
        signed_in = client.post("/ui/session", json={"token": site.token}, headers=page)
        cookie = signed_in.headers["set-cookie"]
        changed = client.patch(
            f"{ORDERS}/paused/status",
            json={"status": "pause"},
            headers={**page, "cookie": cookie.partition(";")[0]},
        )

    assert cookie.startswith("__Host-stepwell_session")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert changed.status_code == 200, changed.text[:300]
    assert "max-age" in signed_in.headers["strict-transport-security"]


async def test_dashboard_works_below_a_path(require: Callable[..., None]) -> None:
    """Its document, the files that it names, and a sign-in, whose cookie other programs of that name do not get."""
    require(nginx.REASON, "Stepwell is put behind it", nginx.PROGRAM is not None)
    engine = Engine(SqliteStore.in_memory(), SystemClock())
    tokens = Tokens(engine.store, SystemClock())
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    app = create_app(
        engine, account=None, hosts=None, tokens=tokens, base="/stepwell", proxies=Proxies.of(["127.0.0.1"])
    )
    sock, server = socket.create_server(("127.0.0.1", 0)), HttpServer(app)
    await server.start(sock)
    with Nginx(sock.getsockname()[1], "/stepwell/") as before:
        async with httpx.AsyncClient(base_url=before.url, verify=before.trusting()) as client:
            document = await client.get("/stepwell/workflows")
            files = re.findall(r'(?:src|href)="([^"#]*)"', document.text)
            statuses = {(await client.get(file)).status_code for file in files}
            elsewhere = await client.get("/other")
            page = {"origin": before.url, "x-stepwell-page": "1"}
            signed_in = await client.post("/stepwell/ui/session", json={"token": secret}, headers=page)
            shown = await client.get("/stepwell/client/v4/accounts/acme/workflows")
    app.end_streams()
    await server.stop(0.5)
    await engine.store.close()

    assert (document.status_code, elsewhere.status_code, statuses) == (200, 404, {200})
    assert [file for file in files if not file.startswith("/stepwell/")] == []
    assert signed_in.headers["set-cookie"].startswith("__Secure-stepwell_session")
    assert (shown.status_code, shown.json()["result"]) == (200, [])


@pytest.mark.long
async def test_browser_works_with_the_dashboard(require: Callable[..., None], site: Site) -> None:
    """A real one signs in, sees an order as it goes on, by a stream, and terminates it."""
    require(browser.REASON, "the dashboard is looked at in it", browser.IS_THERE)
    site.create("seen")
    async with browser.launched() as chromium:
        # The certificate is nobody's whom Chromium knows, and the name nobody's whom the resolver knows.
        page = await chromium.new_page(ignore_https_errors=True)
        await page.goto(f"{site.nginx.url}/login")
        await page.get_by_label("Token").fill(site.token)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", level=1).wait_for()
        await page.goto(f"{site.nginx.url}/workflows/order/instances/seen")
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        with site.client() as client:
            client.post(f"{ORDERS}/seen/events/approved", json={}).raise_for_status()
        await page.locator(".facts .badge", has_text="complete").wait_for()
        cookies = await page.context.cookies()

    assert [cookie["name"].startswith("__Host-") for cookie in cookies] == [True]


def test_server_is_started_again_behind_it(site: Site) -> None:
    """While it is away nginx says so, and as soon as it is back it is asked again."""
    site.server.terminate()
    with site.client() as client:
        away = client.get("/healthz")
        with _served(site.server.folder, site.port) as again:
            back = client.get("/healthz")
            again.terminate()

    assert (away.status_code, back.status_code) == (502, 200)
