"""What docs/client.md shows runs as it is shown, one program after another."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell import sdk
from stepwell.addresses import LOCAL
from stepwell.sdk.settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S
from tests.crash.server import DevServer
from tests.docs.snippets import shown, text_of
from tests.sdk import orders
from tools import client_reference

PAGE = text_of("docs/client.md")
PROGRAMS = shown("docs/client.md", "python")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server of the workflow that the programs are about."""
    folder = tmp_path_factory.mktemp("orders")
    source = Path(orders.__file__)
    (folder / source.name).write_text(source.read_text())
    with DevServer(folder, source.name) as started:
        yield started


def test_programs_of_the_page_do_what_they_say(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prints what is expected of it."""
    for name in ("STEPWELL_ACCOUNT", "STEPWELL_TOKEN", "CLOUDFLARE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEPWELL_URL", server.url)

    basics, events, reading, own, errors = [_run(program).splitlines() for program in PROGRAMS]

    assert basics[:2] == ["queued", 'complete {"by":"ann"}']
    assert [line.partition("name=")[2].split(",")[0] for line in basics[2:]] == [
        "'approval-1'",
        "'film-1'",
        "'charge-1'",
    ]
    assert events[0] == "workflow_queued None"
    assert "step_completed charge-1" in events
    assert events[-1] == "workflow_completed None"
    assert "'order-7'" in reading[0]
    assert reading[1:] == ["{'charged': {'orderId': 7}}", "100004", "charge-1"]
    assert own[:2] == ["order-9 {'customer': 'ann'}", "terminate ['0 9 * * *']"]
    assert own[2:-3] == [] or [line.partition(" None ")[2] for line in own[2:-3]] == ["an order came"]
    assert own[-3].startswith("['created', ")
    assert own[-2] == "['alive']"
    assert own[-1].endswith(" local job.start 127.0.0.1")
    assert errors[0].startswith("10405 ")
    assert errors[1] == "404"


def test_page_names_each_error_and_each_default() -> None:
    """All errors of the client are in the table, and the defaults are those of the code."""
    errors = {name for name in sdk.__all__ if name not in ("ApiError", "Client", "AsyncClient")}
    table = PAGE.partition("## Errors")[2].partition("##")[0]
    named = set(re.findall(r"\b[A-Z]\w+", " ".join(re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE))))

    assert named == errors
    assert f"`{LOCAL}`" in PAGE
    assert f"| {DEFAULT_TIMEOUT_S:.0f} seconds in which a server may be silent" in PAGE
    assert f"| `max_retries` | | {DEFAULT_RETRIES} |" in PAGE


def _run(program: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program, "client.md", "exec"), {})
    return said.getvalue()


def test_reference_is_what_the_code_says() -> None:
    """`python tools/client_reference.py` would write it as it is."""
    assert client_reference.PAGE.read_text() == client_reference.page()


def test_reference_has_each_method_and_each_type() -> None:
    """Whatever the client has, and whatever it gives, has a heading."""
    headings = set(re.findall(r"^### ([\w.]+)$", client_reference.PAGE.read_text(), re.MULTILINE))

    for name in ("client.workflows.get", "client.workflows.instances.wait", "client.stepwell.jobs.start"):
        assert name in headings
    assert {"Instance", "Step", "StepDoNode", "NotFound", "Client"} <= headings
