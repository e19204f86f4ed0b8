"""docs/reference is what the code says."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from stepwell import limits, logs
from stepwell.api.routes import ROUTES
from stepwell.cli import main
from stepwell.errors import StepwellError
from stepwell.sdk import __all__ as of_the_client
from tools import (
    cli_reference,
    errors_reference,
    http_reference,
    limits_reference,
    log_reference,
    metrics_reference,
    python_reference,
)

SOURCES = Path(errors_reference.PLACE).parent.parent.parent / "src" / "stepwell"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.PLACE.stem)
        for page in (cli_reference, errors_reference, http_reference, limits_reference, python_reference)
    ],
)
def test_page_is_current(page: ModuleType) -> None:
    """`make reference` writes it anew."""
    assert page.PLACE.read_text(encoding="utf-8") == page.reference(), "run `make reference`"


def test_reference_of_metrics_is_current() -> None:
    """Each metric of a server is in it, and no other; tests/api/test_metrics.py holds a real one against it."""
    assert metrics_reference.PLACE.read_text(encoding="utf-8") == metrics_reference.reference(), "run `make reference`"


def test_reference_of_the_log_is_current() -> None:
    """Each line of the log names its event, and all are in it; no field hides what every line has."""
    page = log_reference.PLACE.read_text(encoding="utf-8")

    assert page == log_reference.reference(), "run `make reference`"
    fields = page.partition("|---|")[2]
    assert [key for key in logs.KEYS if f", `{key}`" in fields or f"| `{key}`" in fields] == []


def test_reference_has_each_command_and_option() -> None:
    """All that `--help` lists, and nothing that is hidden."""
    page = cli_reference.reference()

    def check(command: click.Command, path: str) -> None:
        for name, one in getattr(command, "commands", {}).items():
            assert (f"## {path} {name}\n" in page) is not one.hidden
            if not one.hidden:
                check(one, f"{path} {name}")
        section = page.partition(f"## {path}\n")[2].partition("\n## ")[0]
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden and path != "stepwell":
                assert param.opts[0] in section

    check(main, "stepwell")
    assert "--date-start" not in page


def test_reference_has_each_public_name() -> None:
    """Of all that people import from; the client's are in client.md."""
    page = python_reference.PLACE.read_text("utf-8")

    public = {module: set(importlib.import_module(module).__all__) for module in ("stepwell", "stepwell.testing")}
    for file in (SOURCES / "agents").glob("*.py"):
        defined = re.findall(r"^(?:async )?(?:def|class) ([a-zA-Z]\w+)", file.read_text("utf-8"), re.MULTILINE)
        public[file.stem] = set(
            importlib.import_module("stepwell.agents").__all__ if file.stem == "__init__" else defined
        )
    del public["shared"], public["costs"]
    names = set().union(*public.values()) - {*of_the_client}

    assert len(names) > 30
    assert [name for name in sorted(names) if f"\n### {name}\n\n" not in page] == []


def test_reference_has_each_route() -> None:
    """With its method and its path."""
    page = http_reference.PLACE.read_text("utf-8")

    assert len(ROUTES) > 90
    assert [route for route in ROUTES if f"\n`{route.method} {route.pattern}`\n" not in page] == []


def test_reference_has_each_error() -> None:
    """Wherever in the sources its class is, each with what to do about it."""
    page = errors_reference.PLACE.read_text("utf-8")
    shown = set(re.findall(r"\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE))

    assert _errors_in(SOURCES) - {StepwellError.__name__, "Refusal"} == shown - {"TurnClosed"}


def test_tree_of_errors_has_each_of_them() -> None:
    """The one that is drawn where they are."""
    drawn = (SOURCES / "errors" / "__init__.py").read_text("utf-8").split('"""')[1]

    assert [name for name in _errors_in(SOURCES / "errors") if not re.search(rf"\b{name}\b", drawn)] == []


def test_code_of_an_error_means_one_thing() -> None:
    """Of those that are not Cloudflare's for all that is wrong with a request, a token or a server."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \|", errors_reference.PLACE.read_text("utf-8"), re.MULTILINE)
    statuses: dict[str, set[str]] = {}
    for code, status in rows:
        statuses.setdefault(code, set()).add(status)

    assert len(rows) > 30
    assert [code for code, several in statuses.items() if len(several) > 1] == ["10000", "10002"]


def test_reference_has_each_limit() -> None:
    """By its setting, or by its name."""
    source = (SOURCES / "limits.py").read_text("utf-8")
    names = re.findall(r"^([A-Z]\w+) = ", source, re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", limits_reference.PLACE.read_text("utf-8"), re.MULTILINE)

    assert len(names) > 70
    # Each of the two tables has a head, and one limit is the default of two settings.
    assert len(rows) == len(names) + 2 + 1
    assert ("cron length", f"{limits.CRON_LENGTH} characters") in rows


def _errors_in(folder: Path) -> set[str]:
    """Return the names of all classes that are Stepwell's errors, and lie in a folder."""
    known = {StepwellError.__name__}
    classes = [
        (name, set(re.findall(r"\w+", bases)))
        for file in SOURCES.rglob("*.py")
        for name, bases in re.findall(r"^class (\w+)\((.*)\):", file.read_text("utf-8"), re.MULTILINE)
    ]
    while more := {name for name, bases in classes if bases & known} - known:
        known |= more
    here = {
        name
        for file in folder.rglob("*.py")
        for name in re.findall(r"^class (\w+)\b", file.read_text("utf-8"), re.MULTILINE)
    }
    return known & here
