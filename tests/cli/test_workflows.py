"""`stepwell workflows`: against a real server, and what it prints of more than that has."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.commands import ask, begin, run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

ODD = "\x1b[2Jred\u202e"


def _ago(**span: int) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _workflow(**more: Any) -> dict[str, Any]:
    return {
        "id": "5e1f",
        "name": "order",
        "class_name": "OrderWorkflow",
        "script_name": "flows",
        "created_on": _ago(days=3),
        "modified_on": _ago(hours=2),
        "triggered_on": _ago(minutes=5),
        "instances": {"complete": 1200, "errored": 3, "paused": 0, "running": 4},
        "schedules": [{"cron": "0 9 * * MON-FRI", "next_instance": "2026-11-27T09:00:00.000Z"}],
        **more,
    }


def _version(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"v{number}", "class_name": "OrderWorkflow", "created_on": _ago(days=3), "has_dag": True, **more}


def _rows(text: str) -> list[str]:
    """Return the lines of a table with one blank between cells."""
    return [" ".join(line.split()) for line in text.replace("\r", "").splitlines()]


def test_workflows_are_listed(server: DevServer) -> None:
    """Each with how many instances it has; ids are names."""
    begin(server, "listed")

    table, ids, whole = (ask(server, "workflows", "list", "-o", form) for form in ("table", "ids", "json"))

    idle, order = (line.split("\t") for line in table.stdout.splitlines())
    assert idle == ["idle", "0", "0", "0", "-", "Idle", "flows"]
    assert (order[0], int(order[1]) > 0, order[5:]) == ("order", True, ["Order", "flows"])
    assert ids.stdout == "idle\norder\n"
    assert json.loads(whole.stdout) == server.call("?per_page=100")


def test_account_without_workflows_is_told() -> None:
    """Beside the output, with what makes some."""
    with scripted([Answer.result([])]) as server:
        told = run("workflows", "list", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "no workflow; `stepwell serve PATH` and `stepwell dev PATH` serve those of PATH\n"


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        pytest.param(
            60,
            [
                "WORKFLOW INSTANCES RUNNING ERRORED LAST INSTANCE",
                "order 1,207 4 3 5 min ago",
                "\ufffdred\ufffd 0 0 0 -",
            ],
            id="60",
        ),
        pytest.param(
            80,
            [
                "WORKFLOW INSTANCES RUNNING ERRORED LAST INSTANCE CLASS SCRIPT",
                "order 1,207 4 3 5 min ago OrderWorkflow flows",
                "\ufffdred\ufffd 0 0 0 - \ufffdred\ufffd \ufffdred\ufffd",
            ],
            id="80",
        ),
        pytest.param(
            200,
            [
                "WORKFLOW INSTANCES RUNNING ERRORED LAST INSTANCE CLASS SCRIPT",
                "order 1,207 4 3 5 min ago OrderWorkflow flows",
                "\ufffdred\ufffd 0 0 0 - \ufffdred\ufffd \ufffdred\ufffd",
            ],
            id="200",
        ),
    ],
)
def test_list_fits_its_terminal(columns: int, lines: list[str]) -> None:
    """Columns go where there is no room; a hostile name is marked."""
    odd = _workflow(name=ODD, class_name=ODD, script_name=ODD, instances={}, triggered_on=None)
    with scripted([Answer.result([_workflow(), odd])]) as server:
        code, written = run_on_terminal("workflows", "list", "--url", server.url, "--color", "never", columns=columns)

    assert (code, _rows(written)) == (0, lines)


def test_workflow_is_described(server: DevServer) -> None:
    """Into a pipe: its name, class and times, its counts, its schedules, its versions; JSON is the API's."""
    begin(server, "described")

    told, whole = (ask(server, "workflows", "describe", "order", "-o", form) for form in ("table", "json"))
    idle = ask(server, "workflows", "describe", "idle")

    lines = [line.split("\t") for line in told.stdout.splitlines()]
    version = server.call("/order/versions")[0]["id"]
    assert lines[0][:4] == ["workflow", "order", "Order", "flows"]
    assert ["instances", "waiting"] in [line[:2] for line in lines]
    assert [line[1] for line in lines if line[0] == "version"] == [version]
    assert json.loads(whole.stdout) == server.call("/order")
    assert "\nschedule\t0 0 1 1 *\t" in idle.stdout


def test_description_fits_its_terminal() -> None:
    """Lines about the workflow, then a table of its newest versions; more are told of."""
    limits = {
        "limits": {"steps": 500},
        "concurrency": {"limit": 9},
        "default_retention": {"error_retention": 86_400_000},
    }
    versions = [_version(12, **limits, class_name=ODD), *(_version(number) for number in range(11, 0, -1))]
    answers = [Answer.result(_workflow(script_name=ODD)), Answer.result(versions)]
    with scripted(answers * 2) as server:
        command = ("workflows", "describe", "order", "--url", server.url, "--color", "never")
        _, wide = run_on_terminal(*command, columns=200)
        code, narrow = run_on_terminal(*command, columns=60)

    assert code == 0
    assert _rows(wide)[:8] == [
        "order class OrderWorkflow script \ufffdred\ufffd",
        "created 3 d ago changed 2 h ago id 5e1f",
        "instances 1,207: 1,200 complete, 3 errored, 4 running last 5 min ago",
        "schedule 0 9 * * MON-FRI next 2026-11-27T09:00:00.000Z",
        "",
        "VERSION CREATED CLASS AT A TIME MOST STEPS KEPT GRAPH",
        "v12 3 d ago \ufffdred\ufffd 9 500 failed 1 d graph",
        "v11 3 d ago OrderWorkflow - - - graph",
    ]
    assert _rows(wide)[15:] == ["v3 3 d ago OrderWorkflow - - - graph", _more()]
    assert _rows(narrow)[5] == "VERSION CREATED CLASS AT A TIME GRAPH"


def _more() -> str:
    return "the newest 10; `stepwell workflows versions order` lists all"


def test_versions_are_listed(server: DevServer) -> None:
    """As many as are wanted; JSON is what the API answers."""
    whole = ask(server, "workflows", "versions", "order", "-o", "json")
    with scripted([Answer.result([_version(3), _version(2), _version(1, has_dag=False)])]) as other:
        two = run("workflows", "versions", "order", "--limit", "2", "--url", other.url)

    assert json.loads(whole.stdout) == server.call("/order/versions")
    assert two.stdout == "".join(f"v{n}\t3 d ago\tOrderWorkflow\t-\t-\t-\tgraph\n" for n in (3, 2))


def test_workflow_is_deleted(server: DevServer) -> None:
    """A dry run says what would go; without `--yes` and a terminal nothing is done; then it is gone."""
    shown = ask(server, "workflows", "delete", "idle", "--dry-run")
    unsure = ask(server, "workflows", "delete", "idle")
    deleted = ask(server, "workflows", "delete", "idle", "--yes")
    again = ask(server, "workflows", "delete", "idle", "--yes")

    assert (shown.exit_code, shown.stdout) == (0, "idle\n")
    assert shown.stderr == "nothing is done; without --dry-run: delete the workflow idle and its 0 instances\n"
    assert (unsure.exit_code, unsure.stdout) == (2, "")
    assert unsure.stderr == (
        "error: this has to be confirmed, and there is no terminal to ask on: delete the workflow idle and its 0 "
        "instances\nhint: -y or --yes does it without asking\n"
    )
    assert (deleted.exit_code, deleted.stdout) == (0, "idle\tdeleted\n")
    assert again.exit_code == 4
    assert again.stderr == (
        'error: no workflow "idle" in this account (10200)\n'
        "hint: `stepwell workflows list` shows those there are; --url, --account or a profile may name another server\n"
    )


@pytest.mark.parametrize(("typed", "code"), [pytest.param("order\n", 0, id="name"), pytest.param("y\n", 2, id="yes")])
def test_deletion_is_confirmed_by_typing_the_name(typed: str, code: int) -> None:
    """A yes is not enough for what has many instances."""
    with scripted([Answer.result(_workflow()), Answer.result({"status": "ok", "success": True})]) as server:
        ended, written = run_on_terminal("workflows", "delete", "order", "--url", server.url, typed=typed)

    assert ended == code
    assert "delete the workflow order and its 1,207 instances? type order:" in written
    assert [asked[0] for asked in server.asked] == ["GET", "DELETE"][: 2 if code == 0 else 1]


@pytest.mark.parametrize("command", ["describe", "versions", "delete", "graph"])
@pytest.mark.parametrize("name", ["..", "a/b", "", "x" * 65])
def test_name_that_leads_elsewhere_is_a_wrong_call(command: str, name: str) -> None:
    """Paths are made of names: exit code 2, and no server is asked for anything."""
    with scripted([]) as server:
        refused = run("workflows", command, name, "--url", server.url)

    assert (refused.exit_code, refused.stdout, server.asked) == (2, "", [])
    assert "is no name of a workflow; it has 1 to 64 letters, digits, hyphens and underscores" in refused.stderr


def test_graph_is_that_of_the_server(server: DevServer) -> None:
    """Also where a file has the workflow's name; with an instance, as that stands."""
    begin(server, "drawn")

    told = ask(server, "workflows", "graph", "order")
    standing = ask(server, "workflows", "graph", "order", "--instance", "drawn")
    same = ask(server, "graph", "order")

    assert (told.exit_code, told.stdout) == (0, same.stdout)
    assert told.stdout.startswith("Order  payload {")
    assert "charge" in standing.stdout
    assert standing.stdout != told.stdout
