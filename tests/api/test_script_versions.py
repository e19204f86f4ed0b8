"""What Cloudflare's tools ask beside an upload: whether the script is there, its versions and deployments, and more."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.engine import Engine
from tests.api.asgi import ask
from tests.api.deploying import Adopting, deployments
from tests.api.test_scripts import FLOW, METADATA, upload

WORKERS = "/client/v4/accounts/local/workers"
SHOP = f"{WORKERS}/scripts/shop"
WRANGLER = {"host": "localhost:8787", "user-agent": "wrangler/4.164.0"}
ORDER = b"from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n    pass\n"


@pytest.fixture
def adopting(engine: Engine) -> Adopting:
    """What runs whatever is deployed."""
    return Adopting(engine)


@pytest.fixture
def app(engine: Engine, adopting: Adopting) -> ASGIApp:
    """An application that takes code, which is given the variable KEY."""
    return create_app(engine, account=None, hosts=None, deployments=deployments(engine, adopting, variables=("KEY",)))


async def result(app: ASGIApp, target: str, method: str = "GET", body: object = None) -> Any:
    """Ask as wrangler does, and return what is answered."""
    sent = b"" if body is None else json.dumps(body).encode()
    answer = await ask(app, target, method, sent, WRANGLER)
    assert answer.status == 200, answer.body
    return answer.json()["result"]


async def upload_version(app: ASGIApp, code: bytes, metadata: Mapping[str, Any] = METADATA) -> str:
    """Upload a version, without serving it; return its id."""
    answer = await upload(app, {"shop.py": code}, metadata, "shop/versions", method="POST")
    return str(answer.json()["result"]["id"])


def whole(version: str, percentage: float = 100) -> dict[str, Any]:
    """Return the body that deploys a version."""
    return {"strategy": "percentage", "versions": [{"version_id": version, "percentage": percentage}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        pytest.param("GET", "/services/shop", None, 10090, id="service"),
        pytest.param("GET", "/workers/shop", None, 10007, id="worker"),
        pytest.param("GET", "/scripts/shop/secrets", None, 10007, id="secrets"),
        pytest.param("GET", "/scripts/shop/versions", None, 10007, id="versions"),
        pytest.param("GET", "/scripts/shop/deployments", None, 10007, id="deployments"),
        pytest.param("PATCH", "/scripts/shop/script-settings", {}, 10007, id="settings"),
        pytest.param("POST", "/scripts/shop/subdomain", {"enabled": True}, 10007, id="subdomain"),
        pytest.param("PUT", "/scripts/shop/schedules", [], 10007, id="schedules"),
    ],
)
async def test_script_that_was_never_uploaded_is_not_found(
    app: ASGIApp, method: str, path: str, body: object, code: int
) -> None:
    """By the codes by which wrangler knows that it is new, with what uploads one."""
    sent = b"" if body is None else json.dumps(body).encode()

    status, told, message = (await ask(app, WORKERS + path, method, sent)).refusal()

    assert (status, told) == (404, code)
    assert message.startswith('workers.api.error.script_not_found: no code was uploaded as the script "shop"; ')


async def test_script_that_was_uploaded_is_told(app: ASGIApp) -> None:
    """Its hash and tool; that it is nowhere below workers.dev, and has no settings, whatever is asked for."""
    uploaded = (await upload(app, {"shop.py": FLOW}, headers=WRANGLER)).json()["result"]

    service = await result(app, f"{WORKERS}/services/shop")
    worker = await result(app, f"{WORKERS}/workers/shop")
    subdomain = await result(app, f"{SHOP}/subdomain", "POST", {"enabled": True, "previews_enabled": True})
    settings = await result(app, f"{SHOP}/script-settings", "PATCH", {"logpush": True, "observability": None})

    script = service["default_environment"]["script"]
    assert (script["etag"], script["last_deployed_from"]) == (uploaded["etag"], "wrangler")
    assert worker["subdomain"] == {"url": "http://localhost:8787", "enabled": False, "previews_enabled": False}
    assert subdomain == {"enabled": False, "previews_enabled": False}
    assert settings == {"logpush": False, "observability": {"enabled": False}, "tags": [], "tail_consumers": []}
    assert await result(app, f"{WORKERS}/subdomain") == {"subdomain": "local"}


async def test_wrangler_file_may_name_parts_and_say_nothing_of_them(app: ASGIApp) -> None:
    """As the code is loaded with it, so it is shown."""
    config = b'{"name": "shop", "main": "shop.py", "workflows": null, "vars": null}'

    answer = await upload(app, {"shop.py": ORDER, "wrangler.json": config}, METADATA, "shop/versions", method="POST")

    id = answer.json()["result"]["id"]
    assert (await result(app, f"{SHOP}/versions/{id}"))["resources"]["bindings"] == []


async def test_version_is_served_when_it_is_deployed(app: ASGIApp, adopting: Adopting) -> None:
    """Not before; what was said of it and of its deployment is listed, and what it is bound to."""
    bindings = [
        {"type": "workflow", "name": "ORDER", "workflow_name": "order", "class_name": "Order"},
        {"type": "plain_text", "name": "STAGE", "text": "test"},
        {"type": "json", "name": "MOST", "json": 9},
        {"type": "inherit", "name": "KEY"},
    ]
    said = {"annotations": {"workers/message": "é" * 600, "workers/tag": "v1"}, "compatibility_date": "2026-08-01"}
    id = await upload_version(app, ORDER, {**METADATA, **said, "bindings": bindings})
    before = (list(adopting.ran), await result(app, f"{SHOP}/deployments"))

    deployed = await result(app, f"{SHOP}/deployments", "POST", whole(id) | {"annotations": {"workers/message": "go"}})
    version = await result(app, f"{SHOP}/versions/{id}")
    listed = await result(app, f"{SHOP}/versions")

    assert before == ([], {"deployments": []})
    assert adopting.ran == [1]
    assert (deployed["annotations"], deployed["source"]) == ({"workers/message": "go"}, "wrangler")
    assert (await result(app, f"{SHOP}/deployments"))["deployments"] == [deployed]
    assert version["annotations"] == {
        "workers/message": "é" * 500,
        "workers/tag": "v1",
        "workers/triggered_by": "upload",
    }
    # Variables are kept by name.
    assert version["resources"]["bindings"] == [bindings[0], bindings[2], bindings[1]]
    assert version["resources"]["script_runtime"] == {"compatibility_date": "2026-08-01"}
    assert [one["id"] for one in listed["items"]] == [id]


async def test_version_that_was_served_before_is_a_rollback(app: ASGIApp, adopting: Adopting) -> None:
    """And is said to be one; the same files are the same version."""
    first, second = [await deployment_id(app, code) for code in (b"1", b"2")]

    back = await result(app, f"{SHOP}/deployments", "POST", whole(first))

    assert back["annotations"] == {"workers/triggered_by": "rollback"}
    assert back["versions"] == [{"version_id": first, "percentage": 100.0}]
    assert adopting.ran == [1, 2, 1]
    assert await deployment_id(app, b"2") == second


async def deployment_id(app: ASGIApp, code: bytes) -> str:
    """Deploy code, and return what its deployment is called in the answer."""
    return str((await upload(app, {"shop.py": code})).json()["result"]["deployment_id"])


async def test_version_that_cannot_be_loaded_is_not_kept(app: ASGIApp) -> None:
    """The report is the author's, and there is no script for it."""
    answer = await upload(app, {"shop.py": b"import gone_away\n"}, METADATA, "shop/versions", method="POST")

    status, code, message = answer.refusal()
    assert (status, code) == (400, 10021)
    assert message.endswith("No module named 'gone_away'")
    assert (await ask(app, f"{WORKERS}/services/shop")).status == 404


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(whole("6f0b6c1e-0000-4000-8000-000000000001"), (404, 10222), id="no-such-version"),
        pytest.param(whole("x"), (404, 10222), id="no-id"),
        pytest.param(whole("", 50), (400, 10002), id="half"),
        pytest.param({"versions": []}, (400, 10002), id="none"),
        pytest.param({"versions": whole("a")["versions"] * 2}, (400, 10002), id="two"),
    ],
)
async def test_deployment_that_there_cannot_be_is_refused(
    app: ASGIApp, adopting: Adopting, body: object, refusal: tuple[int, int]
) -> None:
    """Nothing is served."""
    await upload(app, {"shop.py": FLOW})

    answer = await ask(app, f"{SHOP}/deployments", "POST", json.dumps(body).encode())

    assert answer.refusal()[:2] == refusal
    assert adopting.ran == [1]


async def test_variables_of_the_server_are_the_secrets(app: ASGIApp, adopting: Adopting) -> None:
    """By name alone; an upload may say that it inherits one, and not one that there is not."""
    inherits = [{"type": "inherit", "name": name} for name in ("KEY", "OTHER")]

    taken = await upload(app, {"shop.py": FLOW}, {**METADATA, "bindings": inherits[:1]})
    refused = await upload(app, {"shop.py": FLOW}, {**METADATA, "bindings": inherits})

    assert taken.status == 200
    assert await result(app, f"{SHOP}/secrets") == [{"name": "KEY", "type": "secret_text"}]
    assert refused.refusal()[:2] == (400, 10002)
    assert refused.refusal()[2].endswith("give the server an environment variable of that name, and --env OTHER")


async def test_cron_triggers_of_a_script_are_refused(app: ASGIApp) -> None:
    """With what there is instead; none can be asked for."""
    await upload(app, {"shop.py": FLOW})

    none = await result(app, f"{SHOP}/schedules", "PUT", [])
    refused = (await ask(app, f"{SHOP}/schedules", "PUT", b'[{"cron": "0 9 * * *"}]')).refusal()

    assert none == {"schedules": []}
    assert refused[:2] == (400, 10002)
    assert "the cron trigger '0 9 * * *'" in refused[2]
    assert "give a workflow `schedules` in the wrangler file instead" in refused[2]


@pytest.mark.parametrize(
    ("method", "path", "remedy"),
    [
        pytest.param("PUT", f"{SHOP}/secrets", "`stepwell serve --env NAME`", id="secret"),
        pytest.param("PATCH", f"{WORKERS}/workers/shop/versions/latest", "--env NAME", id="secret-of-a-version"),
        pytest.param("POST", f"{SHOP}/tails", "`stepwell instances logs NAME ID`", id="tail"),
        pytest.param("POST", f"{SHOP}/assets-upload-session", "take `assets` out", id="assets"),
        pytest.param("GET", "/client/v4/zones", "--fetch-port", id="zones"),
        pytest.param("PUT", f"{SHOP}/domains/records", "--fetch-port", id="domains"),
        pytest.param("DELETE", f"{WORKERS}/services/shop", "wrangler workflows delete NAME", id="delete"),
        pytest.param("GET", "/client/v4/accounts/local/storage/kv/namespaces", "take its binding out", id="kv"),
        pytest.param("GET", f"{WORKERS}/dispatch/namespaces/a", "without --dispatch-namespace", id="dispatch"),
    ],
)
async def test_what_there_is_not_is_told_with_what_to_do(app: ASGIApp, method: str, path: str, remedy: str) -> None:
    """Cloudflare's tools print it as it is."""
    status, code, message = (await ask(app, path, method)).refusal()

    assert (status, code) == (404, 7003)
    assert "Stepwell has no " in message
    assert remedy in message


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(b"[[[", id="no JSON"),
        pytest.param(b'{"workflows": null, "vars": null}', id="nothing"),
        pytest.param(b'{"workflows": [1]}', id="no workflow"),
        pytest.param(b'{"vars": {"a": "\\ud800"}}', id="half of a surrogate pair"),
    ],
)
async def test_version_is_shown_whatever_a_wrangler_file_beside_its_source_says(app: ASGIApp, config: bytes) -> None:
    """A file that the source's own folder hides need not be one: nothing is said of it, and the rest is."""
    files = {"src/shop.py": FLOW, "src/wrangler.toml": b"name = 'shop'", "wrangler.json": config}
    uploaded = (await upload(app, files, {"main_module": "src/shop.py"})).json()["result"]

    shown = await result(app, f"{SHOP}/versions/{uploaded['deployment_id']}")

    assert (shown["id"], shown["resources"]["bindings"]) == (uploaded["deployment_id"], [])
