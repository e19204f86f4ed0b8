"""`docs/compatibility.md` says what is true."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest

from stepwell import models
from stepwell.api.account_settings import SettingsBody
from stepwell.api.new_instance import NewInstanceBody
from stepwell.api.routes import ROUTES
from stepwell.api.workflow_body import WorkflowBody
from stepwell.core.instance import Status
from tests.marks import functions_of

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs" / "compatibility.md"
PREFIX = "/client/v4/accounts/{account_id}"

_LINK = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")


@dataclass(frozen=True)
class Row:
    """A line of a table, and the heading above it."""

    heading: str
    what: str
    state: str
    tests: tuple[tuple[str, str], ...]


def _rows() -> Iterator[Row]:
    heading, columns = "", ""
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), ""
        elif line.startswith("| what |"):
            columns = line
        elif columns and line.startswith("|") and not line.startswith("|---"):
            what, state, _, tests = cells
            yield Row(heading, what, state, tuple((file, name) for name, file in _LINK.findall(tests)))


ROWS = list(_rows())


def _states(heading: str) -> dict[str, str]:
    return {row.what: row.state for row in ROWS if row.heading == heading}


def _built() -> set[str]:
    return {
        f"{route.number} `{route.method} {route.pattern.removeprefix(PREFIX)}`"
        for route in ROUTES
        if route.number is not None
    }


def _paths(kind: Any) -> Iterator[str]:
    """Name the members of an answer, at any depth, as the table does."""
    for field in msgspec.structs.fields(kind):
        inner = _struct_in(field.type)
        if inner is None:
            yield field.encode_name
            continue
        dots = "[]." if get_origin(field.type) is list else "."
        yield from (f"{field.encode_name}{dots}{path}" for path in _paths(inner))


def _struct_in(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) in (Union, UnionType, list):
        structs = [found for part in get_args(kind) if (found := _struct_in(part)) is not None]
        return structs[0] if len(structs) == 1 else None
    return None


def test_every_state_is_one_of_three() -> None:
    """Each line says same, differs or not yet."""
    states = {row.state for row in ROWS}

    assert states == {"same", "differs", "not yet"}


def test_no_line_is_there_twice() -> None:
    """Each thing has one line."""
    lines = [(row.heading, row.what) for row in ROWS]

    assert sorted(set(lines)) == sorted(lines)


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.heading}: {row.what}") for row in ROWS if row.state != "not yet"]
)
def test_what_is_built_is_shown_by_a_test(row: Row) -> None:
    """Every line that is not "not yet" links tests, which exist, and `make test` runs one of them."""
    missing = [f"{file}::{name}" for file, name in row.tests if name not in functions_of(file)]

    assert missing == []
    assert any(functions_of(file)[name] for file, name in row.tests)


def test_every_route_has_a_line() -> None:
    """The table has the 28 routes of Cloudflare's, and just these, as the program knows them."""
    known = {
        f"{route.number} `{route.method} {route.pattern.removeprefix(PREFIX)}`"
        for route in ROUTES
        if route.number is not None
    }

    listed = set(_states("HTTP routes"))

    assert len(listed) == 28
    assert listed == known


def test_every_route_of_accounts_and_users_has_a_line() -> None:
    """What tools ask besides has its lines, and nothing else is among them."""
    known = {
        f"`{route.method} {route.pattern.removeprefix('/client/v4')}`"
        for route in ROUTES
        if route.number is None and route.pattern.startswith("/client/v4") and "/stepwell/" not in route.pattern
    }

    assert set(_states("Accounts and users")) == known


def test_routes_are_built_as_the_table_says() -> None:
    """A route that the table calls same or differs has a handler; one that has a handler is not "not yet"."""
    said = {what for what, state in _states("HTTP routes").items() if state != "not yet"}

    assert said == _built()


def test_every_query_parameter_has_a_line() -> None:
    """Every parameter that a route of Cloudflare's reads has a line, and only these are said to be built."""
    read = {f"{route.number} `{name}`" for route in ROUTES if route.number for name in route.query}

    said = {what for what, state in _states("Query parameters").items() if state != "not yet"}

    assert said == read


def test_every_member_of_a_body_has_a_line() -> None:
    """Every member that a workflow, a new instance or an account's settings can have has a line."""
    bodies = {"3": WorkflowBody, "6": NewInstanceBody, "24": SettingsBody}
    members = {f"{number} `{name}`" for number, body in bodies.items() for name in body.__struct_fields__}
    members |= {"15 `status`", "15 `from`", "15 `rollback`"}
    members |= {"8 ids of a batch to delete", "9 ids of a batch to terminate"}

    said = {what for what, state in _states("Request bodies").items() if state != "not yet"}

    assert said == {*members, "7 instances of a batch", "16 payload", "26, 27 triggers"}


def test_every_field_of_the_instance_has_a_line() -> None:
    """Every field of "Get logs and status" that the program can send has a line."""
    fields = {f"`{path}`" for path in _paths(models.Instance)}
    places = {f"`result_info.{path}`" for path in _paths(models.ResultInfo)} - {"`result_info.total_pages`"}

    states = _states("Get logs and status from instance")

    said = {what for what, state in states.items() if state != "not yet"}
    assert said == fields | places | {"`success` (of the envelope)", "`errors`", "`messages`"}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param("step", models.Step, id="step"),
        pytest.param("sleep", models.Sleep, id="sleep"),
        pytest.param("waitForEvent", models.Wait, id="wait"),
    ],
)
def test_every_member_of_an_entry_has_a_line(name: str, model: type[msgspec.Struct]) -> None:
    """Every member of each type of entry has a line."""
    members = {path.replace("error.name", "error").replace("error.message", "error") for path in _paths(model)}

    said = {what for what in _states("Entries of `steps`") if what.startswith(f"{name}: ")}

    assert said == {f"{name}: `{member}`" for member in {"type", *members}}


def test_every_status_has_a_line() -> None:
    """The nine statuses have their lines, and those that an instance can have are the same."""
    states = _states("Statuses")

    assert set(states) == {f"`{status}`" for status in models.STATUSES}
    assert {what for what, state in states.items() if state == "same"} == {f"`{status.value}`" for status in Status}
