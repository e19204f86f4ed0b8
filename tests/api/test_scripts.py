"""`PUT .../workers/scripts/{name}` and `.../stepwell/deployments`: how an upload is read, and what is wrong with it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.engine import Engine
from stepwell.server_settings import Settings
from stepwell.store.snapshot_operations import ListUploads, ReadSnapshotFiles
from stepwell.upload_form import form_of
from tests.api.asgi import Answer, ask
from tests.api.deploying import Adopting, deployments

SCRIPTS = "/client/v4/accounts/local/workers/scripts/"
DEPLOYMENTS = "/client/v4/accounts/local/stepwell/deployments"
METADATA = {"main_module": "shop.py"}
FLOW = b"class Order: ...\n"
MOST = 2_000


@pytest.fixture
def adopting(engine: Engine) -> Adopting:
    """What runs whatever is deployed."""
    return Adopting(engine)


@pytest.fixture
def app(engine: Engine, adopting: Adopting) -> ASGIApp:
    """An application that takes code of up to 2,000 bytes."""
    deploying = deployments(engine, adopting, Settings(snapshot_size=MOST))
    return create_app(engine, account=None, hosts=None, deployments=deploying)


async def upload(
    app: ASGIApp,
    files: Mapping[str, bytes],
    metadata: Mapping[str, Any] = METADATA,
    script: str = "shop",
    *,
    method: str = "PUT",
    headers: Mapping[str, str] = {},
) -> Answer:
    """Upload files."""
    media_type, form = form_of(metadata, files)
    return await ask(app, SCRIPTS + script, method, form, {"content-type": media_type, **headers})


async def _put(app: ASGIApp, body: bytes, media_type: str, target: str = SCRIPTS + "shop") -> Answer:
    return await ask(app, target, "PUT", body, {"content-type": media_type})


def of_parts(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """Return a form of parts as they are: what is behind `form-data`, and the body."""
    text = b"".join(b"--B\r\ncontent-disposition: form-data; %s\r\n\r\n%s\r\n" % (p.encode(), b) for p, b in parts)
    return text + b"--B--\r\n", "multipart/form-data; boundary=B"


async def _kept(engine: Engine, row: int) -> dict[str, bytes]:
    return {file.path: file.body for file in await engine.store.run(ReadSnapshotFiles(row))}


async def test_files_are_kept_as_they_are_and_served(app: ASGIApp, engine: Engine, adopting: Adopting) -> None:
    """Bytes that are no text, empty files and folders; the answer has what Cloudflare's tools read."""
    files = {"shop.py": FLOW, "lib/a b.txt": b"\r\n--\0\xff", "empty": b""}

    answer = await upload(app, files)

    result = answer.json()["result"]
    assert (answer.status, result["id"], result["handlers"], result["has_modules"]) == (200, "shop", [], True)
    assert adopting.ran == [1]
    assert await _kept(engine, 1) == files


async def test_wrangler_file_is_written_for_what_bindings_say(app: ASGIApp, engine: Engine) -> None:
    """Workflows with their names, variables, and the script where the file is not called like it."""
    bindings = [
        {"type": "workflow", "name": "ORDER", "workflow_name": "order", "class_name": "Order"},
        {"type": "workflow", "name": "BILL", "workflow_name": "bill", "class_name": "Bill", "script_name": "billing"},
        {"type": "plain_text", "name": "STAGE", "text": "test"},
        {"type": "json", "name": "LIMITS", "json": {"a": [1]}},
    ]

    await upload(app, {"src/index.py": FLOW}, {"main_module": "src/index.py", "bindings": bindings})

    assert json.loads((await _kept(engine, 1))["wrangler.json"]) == {
        "name": "shop",
        "main": "src/index.py",
        "workflows": [
            {"binding": "ORDER", "name": "order", "class_name": "Order"},
            {"binding": "BILL", "name": "bill", "class_name": "Bill", "script_name": "billing"},
        ],
        "vars": {"STAGE": "test", "LIMITS": {"a": [1]}},
    }


@pytest.mark.parametrize(
    ("files", "metadata"),
    [
        pytest.param({"wrangler.toml": b'name = "mine"\n', "a.py": FLOW}, {"main_module": "a.py"}, id="has-its-own"),
        pytest.param({"a.py": FLOW, "b.py": FLOW}, {"main_module": "a.py", "stepwell_source": "."}, id="folder"),
        pytest.param({"shop.py": FLOW}, METADATA, id="named-like-the-script"),
    ],
)
async def test_no_wrangler_file_is_written_where_the_files_say_as_much(
    app: ASGIApp, engine: Engine, files: Mapping[str, bytes], metadata: Mapping[str, Any]
) -> None:
    """The snapshot is the one that serving the same files makes."""
    answer = await upload(app, files, metadata)

    assert answer.status == 200
    assert await _kept(engine, 1) == files


async def test_code_that_cannot_be_loaded_is_told(app: ASGIApp, adopting: Adopting) -> None:
    """With the report for its author, all lines of it, and nothing is served."""
    adopting.report = 'shop.py cannot be loaded:\n  File "lib/x.py", line 2'

    refused = (await upload(app, {"shop.py": FLOW})).refusal()
    listed = await ask(app, DEPLOYMENTS)

    assert refused == (400, 10021, f"workflows.api.error.script.invalid: {adopting.report}")
    assert listed.json()["result"] == []


async def test_upload_that_is_refused_leaves_nothing(app: ASGIApp, engine: Engine, adopting: Adopting) -> None:
    """Neither its files nor its name; the same files that were served, or uploaded as a version, stay."""
    await upload(app, {"shop.py": b"served"})
    adopting.report = "shop.py cannot be loaded"

    for code in (b"refused", b"served"):
        await upload(app, {"shop.py": code})

    assert [one.row for one in await engine.store.run(ListUploads("local", "shop", 9))] == [1]
    assert await _kept(engine, 1) == {"shop.py": b"served"}
    assert await _kept(engine, 2) == {}


async def test_notes_of_packages_beside_the_code_are_left_out(app: ASGIApp, engine: Engine) -> None:
    """What pywrangler hides in its folder is no code; what leads out of it is refused all the same."""
    packages = {"python_modules/a/b.py": b"", "python_modules/.synced": b"x", "python_modules/a/.x/y": b""}

    await upload(app, {"shop.py": FLOW, **packages})
    refused = await upload(app, {"shop.py": FLOW, "python_modules/../x.py": b""})

    assert await _kept(engine, 1) == {"shop.py": FLOW, "python_modules/a/b.py": b""}
    assert refused.refusal()[:2] == (400, 10021)


WRONG_PATHS = [
    pytest.param("../x.py", "leads elsewhere", id="up"),
    pytest.param("lib/../../x.py", "leads elsewhere", id="up-from-below"),
    pytest.param("..", "leads elsewhere", id="the-folder-above"),
    pytest.param("/x.py", "leads elsewhere", id="absolute"),
    pytest.param("a//b.py", "leads elsewhere", id="nothing-between"),
    pytest.param("a/./b.py", "leads elsewhere", id="dot"),
    pytest.param("a/", "leads elsewhere", id="a-folder"),
    pytest.param("C:x.py", "leads elsewhere", id="drive"),
    pytest.param(".hidden", "is hidden", id="hidden"),
    pytest.param("lib/.dev.vars", "is hidden", id="hidden-below"),
    pytest.param("a\\b.py", "not every system takes", id="backslash"),
    pytest.param("a\tb.py", "not every system takes", id="tab"),
    pytest.param("a\x7f.py", "not every system takes", id="delete"),
    pytest.param("a\u202e.py", "not every system takes", id="turned-round"),
    pytest.param("a" * 251, "not every system takes", id="long"),
    pytest.param("shop.py/x.py", "is a file and a folder", id="file-and-folder"),
]


@pytest.mark.parametrize(("path", "problem"), WRONG_PATHS)
async def test_path_that_no_snapshot_has_is_refused(app: ASGIApp, adopting: Adopting, path: str, problem: str) -> None:
    """Before anything is kept or run; the path is named, and what one looks like."""
    status, code, message = (await upload(app, {"shop.py": FLOW, path: b"x"})).refusal()

    assert (status, code, adopting.ran) == (400, 10021, [])
    assert problem in message
    assert repr("shop.py" if problem == "is a file and a folder" else path) in message
    assert message.endswith("give paths such as flows/order.py, below the folder")


WHOLE = (
    ('name="metadata"', b'{"main_module": "shop.py"}'),
    ('name="shop.py"; filename="shop.py"', FLOW),
    ('name="more.py"; filename="more.py"', b"MORE = 1"),
)
BAD_FORMS = [
    pytest.param(
        (b"{}", "application/json"),
        "an upload is multipart/form-data, with a part `metadata` and one for each file",
        id="json",
    ),
    pytest.param((b"", ""), "an upload is multipart/form-data", id="no-type"),
    pytest.param((b"", "multipart/form-data"), "body: it is no multipart form: Missing boundary", id="no-boundary"),
    pytest.param((b"nothing", "multipart/form-data; boundary=B"), "body: it is no multipart form: ", id="no-parts"),
    pytest.param(of_parts(("", b"x")), "body: it is no multipart form: ", id="part-without-a-name"),
    pytest.param(
        (of_parts(*WHOLE)[0].removesuffix(b"\r\n--B--\r\n"), "multipart/form-data; boundary=B"),
        "body: it is no multipart form: it ends before its last boundary",
        id="cut off in a file",
    ),
    pytest.param(
        (of_parts(*WHOLE)[0].removesuffix(b"--\r\n"), "multipart/form-data; boundary=B"),
        "body: it is no multipart form: it ends before its last boundary",
        id="cut off between files",
    ),
    pytest.param(
        of_parts(('name="shop.py"; filename="shop.py"', FLOW)),
        "body: there is no part `metadata`, which says what is uploaded; send one with JSON",
        id="no-metadata",
    ),
    pytest.param(
        (of_parts(('name="metadata"', b"+2AA-"))[0], "multipart/form-data; boundary=B; charset=utf-7"),
        "body: the part 'metadata' is not UTF-8; send the form in it, without a charset",
        id="half-of-a-surrogate-pair",
    ),
    pytest.param(
        (of_parts()[0], "multipart/form-data; boundary=B; charset=a\0b"),
        "body: it is no multipart form: embedded null character",
        id="charset-with-a-null",
    ),
    pytest.param(of_parts(('name="metadata"', b"{")), "metadata is not JSON: ", id="metadata-no-json"),
    pytest.param(of_parts(('name="metadata"', b"[]")), "metadata: Expected `object`, got `array`", id="metadata-list"),
    pytest.param(
        of_parts(('name="metadata"', b"{}")),
        "metadata: Object missing required field `main_module`",
        id="no-main-module",
    ),
    pytest.param(
        of_parts(*[('name="metadata"', b"{}")] * 2),
        "body: two parts are called 'metadata'; send each file once",
        id="two-of-one-name",
    ),
    pytest.param(
        of_parts(('name="metadata"', b"{}"), *[('name="a.py"; filename="a.py"', FLOW)] * 2),
        "body: two parts are called 'a.py'; send each file once",
        id="two-files-of-one-name",
    ),
    pytest.param(
        of_parts(('name="metadata"', b'{"main_module": "a.py"}'), ('name="a.py"', FLOW)),
        "body: the part 'a.py' is no file, as it has no `filename`; send one with it",
        id="file-without-a-name",
    ),
]


@pytest.mark.parametrize(("form", "problem"), BAD_FORMS)
async def test_body_that_is_no_upload_is_refused(
    app: ASGIApp, adopting: Adopting, form: tuple[bytes, str], problem: str
) -> None:
    """With what is wrong, and what is expected."""
    status, code, message = (await _put(app, *form)).refusal()

    assert (status, code, adopting.ran) == (400, 10002, [])
    assert problem in message


@pytest.mark.parametrize(
    ("binding", "problem"),
    [
        pytest.param(
            {"type": "secret_text", "name": "KEY", "text": "hush"},
            "the binding 'KEY' is a secret, and code is kept as it is; give the server an environment variable of that "
            "name, and --env KEY",
            id="secret",
        ),
        pytest.param(
            {"type": "kv_namespace", "name": "CACHE"},
            "the binding 'CACHE' has the type 'kv_namespace', which Stepwell does not have",
            id="unknown",
        ),
        pytest.param({"name": "A"}, "got type None and name 'A'", id="no-type"),
        pytest.param({"type": ["x"], "name": "A"}, "got type ['x'] and name 'A'", id="type-is-no-text"),
        pytest.param({"type": "secret_text", "text": "hush"}, "got type 'secret_text' and name None", id="no-name"),
    ],
)
async def test_binding_that_there_is_not_is_refused(
    app: ASGIApp, adopting: Adopting, binding: Mapping[str, Any], problem: str
) -> None:
    """By its name; what is secret is not repeated."""
    refused = (await upload(app, {"shop.py": FLOW}, {**METADATA, "bindings": [binding]})).refusal()

    assert (*refused[:2], adopting.ran) == (400, 10002, [])
    assert problem in refused[2]
    assert "hush" not in refused[2]


async def test_upload_that_is_too_large_is_refused(app: ASGIApp, engine: Engine, adopting: Adopting) -> None:
    """What a snapshot may have is told; a body far beyond that is not read to its end."""
    status, code, message = (await upload(app, {"shop.py": FLOW, "large": bytes(MOST)})).refusal()
    most = engine.settings.snapshot_size + 8 * 2**20
    pieces = _endless(2**20)
    cut = (await _put_pieces(app, pieces)).refusal()

    assert (status, code) == (400, 10021)
    assert message.endswith(
        "2,017 bytes were uploaded: more than the 10,000 files or 2,000 bytes that a snapshot may have; leave out what "
        "is no code, or raise the setting snapshot_size"
    )
    assert cut[0] == 413
    assert f"{most:,}" in cut[2]
    assert adopting.ran == []


def _endless(size: int) -> Sequence[bytes]:
    head = b'--B\r\ncontent-disposition: form-data; name="a"; filename="a"\r\n\r\n'
    return [head, *[bytes(size)] * 200]


async def _put_pieces(app: ASGIApp, pieces: Sequence[bytes]) -> Answer:
    headers = {"content-type": "multipart/form-data; boundary=B"}
    return await ask(app, SCRIPTS + "shop", "PUT", pieces, headers)


async def test_main_module_has_to_be_there(app: ASGIApp) -> None:
    """The one that is missing is named."""
    _, code, message = (await upload(app, {"other.py": FLOW})).refusal()

    assert code == 10021
    assert message.endswith("the file 'shop.py', which is to be served, is not among those that were uploaded")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        pytest.param(
            SCRIPTS + "a.b",
            'path: "a.b" cannot name a script: letters, digits, - and _, not starting with -',
            id="script",
        ),
        pytest.param(
            SCRIPTS.replace("local", "acme") + "shop",
            'this server runs the workflows of the account "local", not of "acme"; deploy to a server that was started '
            "with --account acme",
            id="account",
        ),
    ],
)
async def test_path_to_no_script_of_the_server_is_refused(
    app: ASGIApp, adopting: Adopting, target: str, problem: str
) -> None:
    """With the value, and what to do."""
    media_type, form = form_of(METADATA, {"shop.py": FLOW})

    status, _, message = (await _put(app, form, media_type, target)).refusal()

    assert (status, adopting.ran) == (400, [])
    assert message.endswith(problem)


async def test_what_was_served_is_listed_and_served_again(app: ASGIApp, adopting: Adopting) -> None:
    """The last first; without a number, the last but one; what was never served is not found."""
    for body in (b"1", b"2", b"3"):
        await upload(app, {"shop.py": body})

    async def listed() -> list[tuple[int, bool]]:
        result = (await ask(app, DEPLOYMENTS)).json()["result"]
        return [(one["snapshot"], one["is_served"]) for one in result]

    before = await listed()
    back = (await ask(app, DEPLOYMENTS, "POST", b"{}")).json()["result"]
    first = (await ask(app, DEPLOYMENTS, "POST", b'{"snapshot": 1}')).json()["result"]
    unknown = (await ask(app, DEPLOYMENTS, "POST", b'{"snapshot": 9}')).refusal()

    assert before == [(3, True), (2, False), (1, False)]
    assert (back["snapshot"], first["snapshot"], back["is_served"]) == (2, 1, True)
    assert adopting.ran == [1, 2, 3, 2, 1]
    assert await listed() == [(1, True), (2, False), (3, False)]
    assert unknown[:2] == (404, 10503)
    assert "no snapshot 9 was ever served" in unknown[2]


async def test_nothing_is_served_again_where_nothing_was(app: ASGIApp) -> None:
    """Nor where there is only what is served now."""
    nothing = (await ask(app, DEPLOYMENTS, "POST", b"{}")).refusal()
    await upload(app, {"shop.py": FLOW})

    refused = (await ask(app, DEPLOYMENTS, "POST", b"{}")).refusal()

    assert nothing[:2] == refused[:2] == (404, 10503)
    assert "nothing was served before what is served now" in nothing[2]
    assert 'nothing of the script "shop" was served before what is served now' in refused[2]


async def test_script_goes_back_alone(app: ASGIApp, adopting: Adopting) -> None:
    """That which is named, else that which was deployed last; of each the last deployment is served."""
    for script, code in (("shop", b"s1"), ("bills", b"b1"), ("shop", b"s2"), ("bills", b"b2")):
        await upload(app, {f"{script}.py": code}, {"main_module": f"{script}.py"}, script)

    async def listed(query: str = "") -> list[tuple[int, str]]:
        result = (await ask(app, DEPLOYMENTS + query)).json()["result"]
        return [(one["snapshot"], one["script"]) for one in result if one["is_served"]]

    before = await listed()
    named = (await ask(app, DEPLOYMENTS, "POST", b'{"script": "shop"}')).json()["result"]
    after = await listed()
    unnamed = (await ask(app, DEPLOYMENTS, "POST", b"{}")).json()["result"]
    foreign = (await ask(app, DEPLOYMENTS, "POST", b'{"script": "bills", "snapshot": 1}')).refusal()

    odd = [(await ask(app, DEPLOYMENTS, "POST", b'{"script": "a\\u0000"}')).refusal()]
    odd += [(await ask(app, DEPLOYMENTS + "?script=a%00")).refusal()]

    assert {(status, code) for status, code, _ in odd} == {(400, 10002)}
    assert before == [(4, "bills"), (3, "shop")]
    assert (named["snapshot"], after) == (1, [(1, "shop"), (4, "bills")])
    assert unnamed["snapshot"] == 3
    assert foreign[2].endswith(
        'no snapshot 1 of the script "bills" was ever served; `stepwell deployments list` shows what was'
    )
    assert await listed("?script=bills") == [(4, "bills")]
    assert adopting.ran == [1, 2, 3, 4, 1, 3]


async def test_server_that_takes_no_code_says_what_would(engine: Engine) -> None:
    """Uploads and earlier code alike; what was served is told all the same."""
    app = create_app(engine, account=None, hosts=None)

    refused = [(await upload(app, {"shop.py": FLOW})).refusal(), (await ask(app, DEPLOYMENTS, "POST")).refusal()]
    listed = await ask(app, DEPLOYMENTS)

    assert refused == [(403, 10000, "this server takes no code; start it as `stepwell serve --allow-deploy`")] * 2
    assert listed.json()["result"] == []
