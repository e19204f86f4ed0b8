"""The dashboard's document, its files, and the session of a browser."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.api.auth import Need, need_of
from stepwell.api.routes import DASHBOARD, ROUTES, Route
from stepwell.dashboard import files, shell
from stepwell.engine import Engine
from stepwell.hosts import READING
from stepwell.store.audit_operations import ListAudit
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask
from tests.api.histories import Histories
from tests.api.signed_in import session_of
from tools.vendor import PACKAGES

STATIC = Path(files.__file__).parent / "static"
HOST = ("host", "stepwell.example")
PAGE = (HOST, ("origin", "https://stepwell.example"), ("x-stepwell-page", "1"))
ACME = "/client/v4/accounts/acme/workflows"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/instances",
        "/schedules",
        "/hosts",
        "/audit",
        "/facts",
        "/webhooks",
        "/webhooks/0123456789abcdef",
        "/jobs",
        "/about",
        "/workflows",
        "/workflows/a/instances/b%2Fc/d",
    ],
)
async def test_each_page_is_the_one_document(client: httpx.AsyncClient, path: str) -> None:
    """Which page it is, is the program's to find; the policy lets in our own files and nothing else."""
    answer = await client.get(f"http://localhost:8787{path}")

    assert (answer.status_code, answer.text) == (200, shell.document())
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types stepwell-svg"
    )


def test_pages_ask_for_nothing_and_what_they_show_for_a_session() -> None:
    """Each route of the dashboard has its rule, so that none is refused for want of one."""
    needs = {route.pattern: need_of(route) for route in DASHBOARD}

    assert {pattern for pattern, need in needs.items() if need is not Need.NOTHING} == {
        "/ui/ends",
        "/ui/live",
        "/ui/outcomes",
        "/ui/overview",
        "/ui/peaks",
        "/ui/webhooks",
    }


async def test_document_that_a_browser_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """The document is asked for each time, and 304 while it is of this release."""
    first = await client.get("http://localhost:8787/")

    again = await client.get("http://localhost:8787/workflows", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


async def test_files_are_kept_for_ever_under_their_hash(client: httpx.AsyncClient) -> None:
    """All that the document names is there, as what it is; under another release's hash there is nothing."""
    document = await client.get("http://localhost:8787/")
    named = re.findall(r'(?:href|src)="(/ui/[^"]+)"', document.text)

    answers = [await client.get(f"http://localhost:8787{path}") for path in named]
    other = await client.get("http://localhost:8787/ui/static/0000000000000000/app.js")

    assert len(named) == 4
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert other.status_code == 404


def test_libraries_are_what_their_checksums_say() -> None:
    """What `make vendor` brought has not been touched since, and each library has its licence."""
    lines = (STATIC / "vendor" / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}

    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").iterdir()}

    assert sums == {name: digest for name, digest in found.items() if name != "SHA256SUMS"}
    assert {"LICENSE-htm", "LICENSE-preact"} < set(sums)


def test_first_view_is_under_60_kb() -> None:
    """The document and all files that it needs together, as they go over the wire; what a click opens has its own."""
    sizes = {name: len(file.compressed) for name, file in files.all_files().items()}
    more = sizes.pop("more.js")
    sizes = {name: size for name, size in sizes.items() if not name.startswith("LICENSE")}

    assert len(gzip.compress(shell.document().encode())) + sum(sizes.values()) < 60_000
    assert more < 32_000


def test_page_about_itself_names_what_others_have_written() -> None:
    """Each library with the release that lies here, and a licence that is served."""
    about = (STATIC / "views" / "about.js").read_text()

    named = re.findall(r'\["(\w+)", "([\d.]+)", "[\w.-]+", "([\w.-]+)"\]', about)

    assert {(f"{name.lower()}@{release}", file) for name, release, file in named} == {
        (package, f"LICENSE-{package.partition('@')[0]}.txt") for package in PACKAGES
    }
    assert {file for _, _, file in named} < set(files.all_files())


def test_nothing_becomes_markup_but_drawings() -> None:
    """No module sets markup from text, and one alone parses it: what the server draws."""
    ours = {path.name: path.read_text() for path in STATIC.rglob("*.js") if path.parent.name != "vendor"}

    hits = [
        f"{name}: {found}"
        for name, text in ours.items()
        for found in re.findall(r"\w*(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\()", text)
    ]

    assert hits == ["svg.js: DOMParser"]


def _id_of(cookie: str) -> str:
    """Return the id of the session that a cookie names."""
    return cookie.partition("=ss_")[2][:16]


async def _sign_in(app: ASGIApp, secret: str, headers: object = PAGE) -> Answer:
    body = b'{"token":"%b"}' % secret.encode()
    return await ask(app, "/ui/session", "POST", body, headers)  # type: ignore[arg-type]  # pairs, as ask takes them


async def test_session_is_a_cookie_that_no_script_reads(guarded: ASGIApp, tokens: Tokens) -> None:
    """A token begins a session, with a cookie for this site alone; the API answers it until somebody signs out."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_WRITE], name="ann")

    signed = await _sign_in(guarded, secret)
    cookie = signed.headers["set-cookie"].partition(";")[0]
    seen = await ask(guarded, "/ui/session", headers=[HOST, ("cookie", cookie)])
    asked = await ask(guarded, ACME, headers=[HOST, ("cookie", f"other=1; {cookie}")])
    out = await ask(guarded, "/ui/session", "DELETE", headers=[*PAGE, ("cookie", cookie)])
    after = await ask(guarded, ACME, headers=[HOST, ("cookie", cookie)])

    assert re.fullmatch(
        r"__Host-stepwell_session=ss_[0-9a-f]{16}_[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure",
        signed.headers["set-cookie"],
    )
    assert secret not in repr(signed)
    result = seen.json()["result"]
    assert (result["account"], result["name"], result["can_write"]) == ("acme", "ann", True)
    assert (asked.status, after.status) == (200, 401)
    assert '__Host-stepwell_session=""; HttpOnly; Max-Age=0' in out.headers["set-cookie"]


async def test_cookie_of_a_neighbour_does_not_win(guarded: ASGIApp, tokens: Tokens) -> None:
    """Over TLS the session has a name that no other host may set; another one is forgotten with it."""
    secrets = [await tokens.create(account, [Permission.SCRIPTS_READ]) for account in ("ann", "eve")]
    ann, eve = [await session_of(tokens, secret) for secret in secrets]
    both = ("cookie", f"stepwell_session={eve}; __Host-stepwell_session={ann}")

    seen = await ask(guarded, "/ui/session", headers=[HOST, both])
    old = await ask(guarded, "/ui/session", headers=[HOST, ("cookie", f"stepwell_session={eve}")])
    out = await ask(guarded, "/ui/session", "DELETE", headers=[*PAGE, ("cookie", f"stepwell_session={eve}")])

    assert [one.json()["result"]["account"] for one in (seen, old)] == ["ann", "eve"]
    assert 'stepwell_session=""' in out.headers["set-cookie"]


async def test_session_below_a_path_has_a_name_for_that(engine: Engine, histories: Histories, tokens: Tokens) -> None:
    """Browsers take a `__Host-` cookie for the path / alone."""
    app = create_app(engine, account=None, hosts=None, tokens=tokens, base="/flows")
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])

    signed = await _sign_in(app, secret)
    cookie, _, kept = signed.headers["set-cookie"].partition("; ")
    seen = await ask(app, "/ui/session", headers=[HOST, ("cookie", cookie)])

    assert (cookie.partition("=")[0], kept.startswith("HttpOnly; Path=/flows;")) == ("__Secure-stepwell_session", True)
    assert seen.json()["result"]["account"] == "acme"


async def test_session_without_https_is_not_secure_only(guarded: ASGIApp, tokens: Tokens) -> None:
    """Over plain HTTP a browser would not send a cookie that is for HTTPS alone."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    page = (HOST, ("origin", "http://stepwell.example"), ("x-stepwell-page", "1"))

    signed = await _sign_in(guarded, secret, page)

    assert signed.headers["set-cookie"].endswith("SameSite=strict")
    assert signed.json()["result"]["can_write"] is False


async def test_servers_on_two_ports_have_two_sessions(guarded: ASGIApp, tokens: Tokens) -> None:
    """Browsers send a cookie to all ports of a host, so that of another server is called something else."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    page = (("host", "localhost:8788"), ("origin", "http://localhost:8788"), ("x-stepwell-page", "1"))

    signed = await _sign_in(guarded, secret, page)
    cookie = ("cookie", f"stepwell_session_8787=sw_other; {signed.headers['set-cookie'].partition(';')[0]}")
    here = await ask(guarded, ACME, headers=[("host", "localhost:8788"), cookie])
    there = await ask(guarded, ACME, headers=[("host", "localhost:8787"), cookie])

    assert signed.headers["set-cookie"].startswith("stepwell_session_8788=ss_")
    assert (here.status, there.status) == (200, 401)


@pytest.mark.parametrize("other", ['theme={"dark":true}', "seen=a b", "list[0]=1", "stepwell_session_8787=sw_other"])
async def test_cookies_of_others_end_no_session(guarded: ASGIApp, tokens: Tokens, other: str) -> None:
    """All programs of a host have their cookies in one header, in whatever form they like."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])

    session = await session_of(tokens, secret)

    asked = await ask(guarded, ACME, headers=[HOST, ("cookie", f"{other}; stepwell_session={session}")])

    assert asked.status == 200


async def test_host_in_capitals_has_the_same_session(guarded: ASGIApp, tokens: Tokens) -> None:
    """Names of hosts are the same in capitals."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    page = (("host", "LOCALHOST:8788"), ("origin", "http://localhost:8788"), ("x-stepwell-page", "1"))

    signed = await _sign_in(guarded, secret, page)

    assert signed.headers["set-cookie"].startswith("stepwell_session_8788=ss_")


async def test_wrong_token_signs_nobody_in(guarded: ASGIApp, tokens: Tokens) -> None:
    """A token that is unknown, or shows nothing, is refused in words."""
    deploy = await tokens.create("acme", [Permission.DEPLOY])

    unknown, useless = await _sign_in(guarded, "sw_x"), await _sign_in(guarded, deploy)

    assert (unknown.status, useless.status) == (401, 403)
    assert "the token is not known here" in unknown.refusal()[2]
    assert "the token has deploy, which shows nothing here" in useless.refusal()[2]
    assert "set-cookie" not in useless.headers


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param([("origin", "https://stepwell.example")], id="no header of ours"),
        pytest.param([("x-stepwell-page", "1")], id="no origin"),
        pytest.param([("origin", "https://evil.example"), ("x-stepwell-page", "1")], id="another site's page"),
    ],
)
async def test_change_by_a_session_comes_from_our_page(
    guarded: ASGIApp, tokens: Tokens, forged: list[tuple[str, str]]
) -> None:
    """A browser sends the cookie by itself, so it alone changes nothing."""
    secret = await tokens.create("local", [Permission.SCRIPTS_WRITE])
    cookie = ("cookie", f"stepwell_session={await session_of(tokens, secret)}")
    path = "/client/v4/accounts/local/workflows/order/instances"

    refused = await ask(guarded, path, "POST", b'{"instance_id":"a"}', [HOST, cookie, *forged])
    ours = await ask(guarded, path, "POST", b'{"instance_id":"a"}', [*PAGE, cookie])

    assert (refused.status, ours.status) == (403, 200)


CHANGES = [route for route in (*ROUTES, *DASHBOARD) if route.method not in READING]


@pytest.mark.parametrize("route", CHANGES, ids=lambda route: f"{route.method} {route.pattern}")
async def test_no_change_is_made_by_a_session_alone(guarded: ASGIApp, tokens: Tokens, route: Route) -> None:
    """Neither for another page, whatever the route, nor by somebody who may read."""
    path = re.sub(r"\{\w+\}", "acme", route.pattern.replace("{job_id}", "6f0b6c1e-0000-4000-8000-000000000002"))
    write = await session_of(tokens, await tokens.create("acme", [Permission.SCRIPTS_WRITE]))
    read = await session_of(tokens, await tokens.create("acme", [Permission.SCRIPTS_READ]))

    forged = await ask(guarded, path, route.method, b"{}", [HOST, ("cookie", f"stepwell_session={write}")])
    reader = await ask(guarded, path, route.method, b"{}", [*PAGE, ("cookie", f"stepwell_session={read}")])

    assert forged.status == 403
    assert (reader.status == 403) is (route not in DASHBOARD)


async def test_session_ends_with_its_token(guarded: ASGIApp, tokens: Tokens) -> None:
    """A revoked token's cookie is as good as none: the page asks to sign in, and the API refuses."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    cookie = ("cookie", f"stepwell_session={await session_of(tokens, secret)}")
    await tokens.revoke(secret.split("_")[1])

    seen = await ask(guarded, "/ui/session", headers=[HOST, cookie])
    asked = await ask(guarded, ACME, headers=[HOST, cookie])

    assert (seen.json()["result"]["is_signed_in"], seen.json()["result"]["account"]) == (False, "")
    assert asked.status == 401


async def test_token_is_no_session(guarded: ASGIApp, tokens: Tokens) -> None:
    """What a program sends is nothing for a cookie, nor is what a cookie holds anything for a header."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    session = await session_of(tokens, secret)

    token = await ask(guarded, ACME, headers=[HOST, ("cookie", f"stepwell_session={secret}")])
    bearer = await ask(guarded, ACME, headers=[HOST, ("authorization", f"Bearer {session}")])

    assert (token.status, bearer.status) == (401, 401)


async def test_sign_in_ends_the_session_that_the_browser_had(guarded: ASGIApp, tokens: Tokens) -> None:
    """Each sign-in is a session of its own, and a browser has one of them; those of other browsers stay."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])
    other = f"stepwell_session={await session_of(tokens, secret)}"

    first = (await _sign_in(guarded, secret)).headers["set-cookie"].partition(";")[0]
    again = await _sign_in(guarded, secret, [*PAGE, ("cookie", first)])
    second = again.headers["set-cookie"].partition(";")[0]
    asked = [await ask(guarded, ACME, headers=[HOST, ("cookie", cookie)]) for cookie in (first, second, other)]

    begun = (await tokens.store.run(ListAudit("acme", 10, action="session.begin")))[0]

    assert first != second
    assert json.loads(begun.detail)["instead_of"] == _id_of(first)
    assert [answer.status for answer in asked] == [401, 200, 200]


async def test_sign_in_and_sign_out_are_in_the_audit_log(guarded: ASGIApp, tokens: Tokens) -> None:
    """With the token's name, and nothing of what the cookie holds."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ], name="ann")

    signed = await _sign_in(guarded, secret)
    cookie = signed.headers["set-cookie"].partition(";")[0]
    await ask(guarded, "/ui/session", "DELETE", headers=[*PAGE, ("cookie", cookie)])
    entries = await tokens.store.run(ListAudit("acme", 10))

    assert [(entry.action, entry.way, entry.who, entry.token) for entry in entries] == [
        ("session.end", "session", "ann", secret.split("_")[1]),
        ("session.begin", "token", "ann", secret.split("_")[1]),
    ]
    assert {entry.thing for entry in entries} == {_id_of(cookie)}
    assert cookie.partition("=")[2] not in repr(entries)


async def test_stranger_is_told_nothing_of_what_happens(guarded: ASGIApp, tokens: Tokens) -> None:
    """The mark of the changes, which counts them, is for those who have signed in."""
    secret = await tokens.create("acme", [Permission.SCRIPTS_READ])

    before = await ask(guarded, "/ui/session", headers=[HOST])
    signed = await _sign_in(guarded, secret)
    cookie = signed.headers["set-cookie"].partition(";")[0]
    out = await ask(guarded, "/ui/session", "DELETE", headers=[*PAGE, ("cookie", cookie)])

    assert [bool(answer.json()["result"]["mark"]) for answer in (before, signed, out)] == [False, True, False]


async def test_server_without_tokens_asks_nobody_to_sign_in(client: httpx.AsyncClient) -> None:
    """`stepwell dev` shows and changes everything at once."""
    result = (await client.get("http://localhost:8787/ui/session")).json()["result"]

    assert (result["account"], result["wants_token"], result["can_write"]) == ("local", False, True)
