"""`stepwell deploy`, `rollback` and `deployments`: what is sent, and what is printed."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from stepwell.upload_form import form_of
from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, Scripted, body_of, listening, scripted

FLOW = b"class Order: ...\n"
UPLOADED = {"id": "app", "etag": "5955e941", "handlers": [], "startup_time_ms": 748}


def _served(number: int, *, is_served: bool = False, **ago: int) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "snapshot": number,
        "sha256": f"{number:x}" * 64,
        "source": "src/order.py",
        "python": "3.13.1",
        "created_on": at,
        "served_on": at,
        "is_served": is_served,
        "script": "shop",
    }


SERVED = _served(2, is_served=True, days=5)
ROW = "2\tserved\t5 d ago\tshop\tsrc/order.py\t222222222222\t3.13.1\n"
# Before it uploads a command asks what is served: whoever is no Stepwell gets no code.
NOTHING = Answer.result([])


@contextmanager
def uploading(*answers: Answer) -> Iterator[Scripted]:
    """Give a server that answers one request after another, and notes of each upload what is in its form."""
    told, left = Scripted(), iter(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = body_of(request)
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        said = asyncio.run(_parts_of(request.headers["content-type"], body)) if is_form else body
        told.asked.append((request.command, unquote(request.path), said))
        given = next(left)
        request.send_response(given.status)
        request.end_headers()
        request.wfile.write(json.dumps(given.content).encode())

    with listening(answer) as told.url:
        yield told


async def _parts_of(media_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names, as the server's parser reads them; names of files are theirs."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    form = await MultiPartParser(Headers({"content-type": media_type}), pieces()).parse()
    found = {}
    for name, part in form.multi_items():
        if isinstance(part, UploadFile):
            assert part.filename == name
        found[name] = await part.read() if isinstance(part, UploadFile) else part.encode()
    assert len(found) == len(form.multi_items())
    await form.close()
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with code, and with what is none."""
    files = {"order.py": FLOW, "lib/price.txt": b"\xff\0", ".dev.vars": b"KEY=hush", "kept.db": b"x", "run.log": b"x"}
    for name, body in files.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "app"


def _lines(text: str) -> Sequence[str]:
    """Return the lines of a table without colours, with one blank between cells."""
    plain = re.sub(r"\x1b\[\d*m", "", text)
    return [" ".join(line.split()) for line in plain.replace("\r", "").splitlines()]


def test_folder_is_uploaded(app: Path) -> None:
    """Its files but what is no code, under the name of the folder; what goes on, and the way back, is told."""
    with uploading(NOTHING, Answer.result(UPLOADED), Answer.result([SERVED])) as server:
        done = run("deploy", str(app), "--to", server.url)

    method, path, form = server.asked[1]
    assert (done.exit_code, done.stdout) == (0, ROW)
    assert done.stderr == (
        f"{server.url} serves it; instances that are running stay on their code. Back: stepwell rollback\n"
    )
    assert (method, path) == ("PUT", "/client/v4/accounts/local/workers/scripts/app")
    assert json.loads(form.pop("metadata")) == {"main_module": "order.py", "stepwell_source": "."}
    assert form == {"order.py": FLOW, "lib/price.txt": b"\xff\0"}


def test_file_is_uploaded_with_what_lies_beside_it(app: Path) -> None:
    """It alone is served; the script is called like it."""
    with uploading(NOTHING, Answer.result(UPLOADED), Answer.result([SERVED])) as server:
        done = run("deploy", str(app / "order.py"), "--url", server.url, "-o", "json")

    _, path, form = server.asked[1]
    assert (json.loads(done.stdout), done.stderr) == (UPLOADED, "")
    assert path.endswith("/workers/scripts/order")
    assert json.loads(form["metadata"]) == {"main_module": "order.py", "stepwell_source": "order.py"}
    assert sorted(form) == ["lib/price.txt", "metadata", "order.py"]


def test_name_of_the_script_is_given(app: Path) -> None:
    """In a wrangler file, which goes with the code; where there is one already, that has to say it."""
    with uploading(NOTHING, Answer.result(UPLOADED), Answer.result([SERVED])) as server:
        done = run("deploy", str(app), "--name", "shop", "--url", server.url)
        (app / "wrangler.toml").write_text('main = "order.py"\n')
        refused = run("deploy", str(app), "--name", "shop", "--url", server.url)

    _, path, form = server.asked[1]
    assert (done.exit_code, refused.exit_code) == (0, 2)
    assert path.endswith("/workers/scripts/shop")
    assert json.loads(form["wrangler.json"]) == {"name": "shop"}
    assert refused.stderr == (
        'error: --name is for code without a wrangler file; wrangler.toml does not name the script "shop"\n'
        "hint: write that name into wrangler.toml, or leave out --name\n"
    )


def test_folder_whose_name_is_no_script_s_is_uploaded(app: Path) -> None:
    """Each file of it is a script; the folder is called in a way that a path takes."""
    folder = app.rename(app.with_name("-my shop.v2"))

    with uploading(NOTHING, Answer.result(UPLOADED), Answer.result([SERVED])) as server:
        run("deploy", str(folder), "--url", server.url)

    assert server.asked[1][1].endswith("/workers/scripts/my-shop-v2")


def test_wrangler_file_names_script_and_source(app: Path) -> None:
    """It is uploaded as it is."""
    (app / "wrangler.toml").write_text('name = "shop"\nmain = "order.py"\n')

    with uploading(NOTHING, Answer.result(UPLOADED), Answer.result([SERVED])) as server:
        run("deploy", str(app), "--name", "shop", "--url", server.url)

    _, path, form = server.asked[1]
    assert path.endswith("/workers/scripts/shop")
    assert json.loads(form["metadata"]) == {"main_module": "order.py", "stepwell_source": "order.py"}
    assert form["wrangler.toml"] == b'name = "shop"\nmain = "order.py"\n'


def test_dry_run_lists_what_would_be_uploaded(app: Path) -> None:
    """And asks nobody."""
    with uploading() as server:
        piped = run("deploy", str(app), "--dry-run", "--url", server.url)
        ids = run("deploy", str(app), "--dry-run", "-o", "ids", "--url", server.url)
        _, shown = run_on_terminal("deploy", str(app), "--dry-run", "--url", server.url)

    assert piped.stdout == "lib/price.txt\t2\norder.py\t17\n"
    assert piped.stderr == f"nothing is done; without --dry-run these files would go to {server.url}\n"
    assert ids.stdout == "lib/price.txt\norder.py\n"
    assert _lines(shown) == ["FILE BYTES", "lib/price.txt 2", "order.py 17", piped.stderr.strip()]
    assert server.asked == []


def test_code_that_is_refused_is_told_line_by_line(app: Path) -> None:
    """The report as its author would see it here; then that nothing has changed."""
    report = 'order.py cannot be loaded:\n  File "order.py", line 1, in <module>\n\x1b[31mNameError'
    no = Answer.refusal(400, 10021, f"workflows.api.error.script.invalid: {report}")
    with uploading(NOTHING, no) as server:
        refused = run("deploy", str(app), "--url", server.url)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        "order.py cannot be loaded:",
        '  File "order.py", line 1, in <module>',
        "\N{REPLACEMENT CHARACTER}NameError",
        f"error: the code cannot be served; nothing has changed at {server.url} (10021)",
        "hint: `stepwell check PATH` looks at code without running it; --dry-run lists what would be uploaded",
    ]


def test_who_may_not_deploy_is_told_what_is_needed(app: Path) -> None:
    """Of the token and of the server."""
    with scripted([Answer.refusal(403, 10000, "this server takes no code")]) as server:
        refused = run("rollback", "--url", server.url)

    assert refused.exit_code == 3
    assert refused.stderr == (
        "error: this server takes no code (10000)\n"
        "hint: `stepwell token create --scope deploy` makes a token that may; `stepwell serve --allow-deploy` takes "
        "code\n"
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        pytest.param("empty", "there is no Python file at {path}; give a file, or a folder that has some", id="none"),
        pytest.param(
            "gone",
            "{path} does not exist; give a Python file, or a folder of them, that has a workflow",
            id="no-such-folder",
        ),
    ],
)
def test_path_without_code_is_refused(tmp_path: Path, path: str, problem: str) -> None:
    """Before anybody is asked."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "read.me").write_text("x")

    refused = run("deploy", str(tmp_path / path), "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == [
        f"error: {problem.format(path=tmp_path / path)}",
        "hint: `stepwell check PATH` looks at code without running it; --dry-run lists what would be uploaded",
    ]


def test_what_was_served_is_listed() -> None:
    """The last first; the columns that matter least go where the terminal is narrow."""
    found = [SERVED, _served(11, days=3)]
    with scripted([Answer.result(found)] * 4) as server:
        piped, ids, whole = (
            run("deployments", "list", "--url", server.url, *form) for form in ((), ("-o", "ids"), ("-o", "json"))
        )
        _, shown = run_on_terminal("deployments", "list", "--url", server.url, columns=50)

    assert piped.stdout == (f"{ROW}11\t-\t3 d ago\tshop\tsrc/order.py\tbbbbbbbbbbbb\t3.13.1\n")
    assert ids.stdout == "2\n11\n"
    assert json.loads(whole.stdout) == found
    assert _lines(shown) == [
        "SNAPSHOT STATE SERVED SCRIPT SOURCE",
        "2 served 5 d ago shop src/order.py",
        "11 - 3 d ago shop src/order.py",
    ]
    assert {(method, path) for method, path, _ in server.asked} == {("GET", "deployments")}


def test_earlier_code_is_served_again() -> None:
    """The last but one, or the one of a number; nothing was served before what is served first."""
    none = Answer.refusal(404, 10503, "workflows.api.error.snapshot.not_found: nothing was served before")
    with scripted([*[Answer.result(SERVED)] * 3, none]) as server:
        last, chosen, ids, refused = (
            run("rollback", *more, "--url", server.url)
            for more in ((), ("2", "-o", "json"), ("2", "-o", "ids"), ("7",))
        )

    assert (last.stdout, last.stderr) == (
        ROW,
        f"{server.url} serves it again; instances that are running stay on their code\n",
    )
    assert (json.loads(chosen.stdout), chosen.stderr) == (SERVED, "")
    assert (ids.stdout, ids.stderr) == ("2\n", "")
    assert [body["snapshot"] for _, _, body in server.asked] == [None, 2, 2, 7]
    assert refused.exit_code == 4
    assert refused.stderr == (
        "error: nothing was served before (10503)\nhint: `stepwell deployments list` shows those there are\n"
    )


def test_script_is_named() -> None:
    """Where several are served, its deployments are listed apart, and it goes back alone."""
    with scripted([Answer.result([SERVED]), Answer.result(SERVED)]) as server:
        listed = run("deployments", "list", "--script", "shop", "--url", server.url)
        back = run("rollback", "--script", "shop", "--url", server.url)

    assert (listed.stdout, back.stdout) == (ROW, ROW)
    assert [(path, body) for _, path, body in server.asked] == [
        ("deployments?script=shop", None),
        ("deployments", {"snapshot": None, "script": "shop"}),
    ]


async def test_form_is_read_as_it_was_written() -> None:
    """Any bytes, also such as stand between parts; names with signs that a header has."""
    files = {"a b/ü.py": FLOW, "semi;colon=.txt": b"\r\n--x--\r\n", "none": b"", "all": bytes(range(256))}

    media_type, body = form_of({"main_module": "ü.py"}, files)
    found = await _parts_of(media_type, body)

    assert json.loads(found.pop("metadata")) == {"main_module": "ü.py"}
    assert found == files


async def test_quotes_in_a_name_are_written_as_browsers_do() -> None:
    """The name stays one line, and one text."""
    found = await _parts_of(*form_of({}, {'a"b\r\n.py': FLOW}))

    assert found["a%22b%0D%0A.py"] == FLOW
