"""`stepwell graph`: of files, and against a scripted server."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.cli.commands import ask, begin, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer
from tests.graph.dot_reader import read_dot

SOURCE = """
import nowhere

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", charge)
        if event["payload"]["gift"]:
            await step.sleep("rest", "1 hour")
"""
TREE = ["Order  payload {gift}", "├─ charge", "└─ if event['payload']['gift']", "   └─ rest  sleeps 1 hour"]
SECOND = SOURCE.replace("Order", "Refund")
PLACE = {"file": "flows.py", "line": 9, "last_line": 9}
CONFIG = {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes"}
CHARGE = {"type": "step_do", "key": "1", "place": PLACE, "name": "charge\u202e", "config": CONFIG}
SHOWN: dict[str, object] = {
    "version_id": "v2",
    "class_name": "Order",
    "nodes": [CHARGE],
    "functions": {},
    "payload": None,
    "remarks": [],
    "note": "",
}
VERSIONS = Answer.result([{"id": "v2"}])


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A file with a workflow."""
    path = tmp_path / "flows.py"
    path.write_text(SOURCE)
    return path


def test_steps_of_a_file_are_a_tree(flows: Path) -> None:
    """The source is read, and not run: what it imports need not be there."""
    told = run("graph", str(flows))

    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.splitlines() == TREE


def test_svg_goes_into_a_file(flows: Path, tmp_path: Path) -> None:
    """The file's name says that it is SVG; nothing is printed."""
    told = run("graph", str(flows), "--file", str(tmp_path / "order.svg"), "--theme", "dark")

    assert (told.exit_code, told.output) == (0, "")
    drawing = ET.parse(tmp_path / "order.svg").getroot()
    assert drawing.get("aria-label") == "Workflow Order"
    assert drawing.get("class") == "stepwell-graph dark"


@pytest.mark.parametrize(
    ("ending", "begin"),
    [(".gv", "digraph"), (".dot", "digraph"), (".MMD", "flowchart"), (".yml", "---"), ("", "Order")],
)
def test_file_says_its_form_by_its_end(flows: Path, tmp_path: Path, ending: str, begin: str) -> None:
    """Where no form is given."""
    run("graph", str(flows), "--file", str(tmp_path / f"order{ending}"))

    assert (tmp_path / f"order{ending}").read_text().startswith(begin)


def test_form_is_chosen(flows: Path) -> None:
    """Each is printed alone; JSON has what Cloudflare's form has, and ours, and so has YAML."""
    mermaid, dot, same = (run("graph", str(flows), "-o", form) for form in ("mermaid", "dot", "yaml"))
    told = json.loads(run("graph", str(flows), "--format", "json").stdout)

    assert mermaid.stdout.startswith('flowchart TD\n  n1(["Order<br/>payload {gift}"])\n  n2["charge"]\n')
    assert [said["label"] for said in read_dot(dot.stdout).nodes.values()][1] == '"charge"'
    assert yaml.safe_load(same.stdout) == told
    assert (told["class_name"], [node["type"] for node in told["nodes"]]) == ("Order", ["step_do", "if"])
    assert told["nodes"][0]["place"] == PLACE


@pytest.mark.parametrize("name", ["refund", "Refund"])
def test_one_of_several_workflows_is_chosen(flows: Path, name: str) -> None:
    """By its name or its class."""
    (flows.parent / "more.py").write_text(SECOND)

    told = run("graph", str(flows.parent), "--workflow", name)

    assert told.stdout.splitlines()[0] == "Refund  payload {gift}"


def test_several_workflows_are_named(flows: Path) -> None:
    """Where none is chosen, or one that is not there."""
    (flows.parent / "more.py").write_text(SECOND)
    folder = str(flows.parent)

    none, unknown = run("graph", folder), run("graph", folder, "--class", "Parcel")

    hint = "hint: --workflow NAME chooses one, by its name or its class\n"
    assert (none.exit_code, none.stderr) == (2, f"error: {folder} has several workflows: order, refund\n{hint}")
    assert (unknown.exit_code, unknown.stderr) == (
        2,
        f"error: {folder} has no workflow Parcel; it has: order, refund\n{hint}",
    )


def test_wrangler_file_names_workflow_and_source(tmp_path: Path) -> None:
    """A folder laid out for wrangler is read as it is served."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(SOURCE)
    config = {"main": "src/main.py", "workflows": [{"name": "buy", "binding": "BUY", "class_name": "Order"}]}
    (tmp_path / "wrangler.json").write_text(json.dumps(config))

    told = run("graph", str(tmp_path), "--workflow", "buy")

    assert told.stdout.splitlines() == TREE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("x = = 1", "flows.py:1: this is not Python: invalid syntax", id="syntax"),
        pytest.param("x = 1", "no workflow in ", id="no workflow"),
        pytest.param("x = '\0'", "source code string cannot contain null bytes", id="null"),
    ],
)
def test_source_without_a_graph_says_why(flows: Path, content: str, reason: str) -> None:
    """In a line with the place, without a stack trace."""
    flows.write_text(content)

    told = run("graph", str(flows))

    assert (told.exit_code, told.stdout) == (1, "")
    assert reason in told.stderr
    assert "Traceback" not in told.stderr


def test_file_beside_that_is_no_python_is_told_of(flows: Path) -> None:
    """The others are read all the same."""
    (flows.parent / "broken.py").write_text("def")

    told = run("graph", str(flows.parent))

    assert (told.exit_code, told.stdout.splitlines()) == (0, TREE)
    assert told.stderr.startswith(f"{flows.parent}/broken.py:1: this is not Python")


def test_hostile_name_in_the_source_does_nothing(flows: Path) -> None:
    """Escapes in a literal are shown as marks in each form, and JSON stays JSON."""
    flows.write_text(SOURCE.replace('"charge"', r'"\ud800\x1b[31m\u202e<b>"'))

    told = {form: run("graph", str(flows), "-o", form) for form in ("text", "svg", "mermaid", "dot", "json", "yaml")}

    assert told["text"].stdout.splitlines()[1] == "├─ \ufffd\ufffd[31m\ufffd<b>"
    assert json.loads(told["json"].stdout)["nodes"][0]["name"] == "\ufffd\x1b[31m\u202e<b>"
    assert yaml.safe_load(told["yaml"].stdout) == json.loads(told["json"].stdout)
    assert [*read_dot(told["dot"].stdout).nodes.values()][1]["label"] == '"\ufffd\ufffd[31m\ufffd<b>"'
    for one in told.values():
        assert one.exit_code == 0
        assert not {"\x1b", "\u202e", "\ud800"} & set(one.stdout)


def test_file_that_cannot_be_written_is_named(flows: Path) -> None:
    """With what the system says."""
    told = run("graph", str(flows), "--file", "/nowhere/x.svg")

    assert told.exit_code == 1
    assert told.stderr.startswith("error: /nowhere/x.svg cannot be written: No such file or directory\nhint: --file")


def test_server_is_asked_for_the_newest_version() -> None:
    """By the name of the workflow; JSON is what the server answers."""
    with scripted([VERSIONS, Answer.result(SHOWN)] * 2) as server:
        text, told = (run("graph", "order", "-o", form, "--url", server.url) for form in ("text", "json"))

    assert text.stdout.splitlines() == ["Order", "└─ charge\ufffd"]
    assert json.loads(told.stdout) == SHOWN
    assert server.asked[:2] == [("GET", "versions?per_page=1", None), ("GET", "graph", None)]


def test_server_is_asked_for_a_version() -> None:
    """It is not asked which there are."""
    with scripted([Answer.result(SHOWN)]) as server:
        told = run("graph", "order", "--version", "v2", "--url", server.url)

    assert (told.exit_code, server.asked) == (0, [("GET", "graph", None)])


def test_graph_of_a_named_workflow_takes_the_same_options(tmp_path: Path) -> None:
    """Version, file and theme: the file is what `graph` prints, and nothing is printed then."""
    form = ("order", "--version", "v2", "--theme", "dark", "--url")
    with scripted([Answer.result(SHOWN)] * 3) as server:
        printed = run("graph", *form, server.url, "--format", "svg")
        written = run("workflows", "graph", *form, server.url, "--file", str(tmp_path / "order.svg"))
        light = run("workflows", "graph", *form[:3], "--theme", "light", "--url", server.url, "--format", "svg")

    assert (written.exit_code, written.stdout) == (0, "")
    assert (tmp_path / "order.svg").read_text() == printed.stdout
    assert light.stdout != printed.stdout
    assert server.asked == [("GET", "graph", None)] * 3


def test_instance_is_drawn_with_how_it_stands() -> None:
    """In the tree behind each node, in a picture in its box; a flowchart has no place for it."""
    state = {"status": "errored", "runs": 12, "failed": 1, "entries": [], "rollback": None}
    answer = Answer.result({**SHOWN, "status": "errored", "states": {"1": state}, "others": []})
    with scripted([answer] * 4) as server:
        text, drawing, dot, mermaid = (
            run("graph", "order", "--instance", "a", "-o", form, "--url", server.url)
            for form in ("text", "svg", "dot", "mermaid")
        )

    assert text.stdout.splitlines() == ["Order", "└─ charge\ufffd  [12 runs, 1 failed]"]
    assert 'class="item step errored"' in drawing.stdout
    assert 'label="charge\ufffd\\n[12 runs, 1 failed]"' in dot.stdout
    assert (mermaid.exit_code, mermaid.stdout) == (2, "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({**SHOWN, "nodes": None, "note": "too long"}, "there is no graph of order: too long", id="none"),
        pytest.param({**SHOWN, "nodes": [{"type": "new"}]}, "the server's graph of order is of another form", id="new"),
    ],
)
def test_server_without_a_graph_says_why(answer: object, reason: str) -> None:
    """And that the source can be read without it."""
    with scripted([Answer.result(answer)]) as server:
        told = run("graph", "order", "--version", "v2", "--url", server.url)

    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: {reason}")
    assert told.stderr.endswith("hint: `stepwell graph PATH` reads the source itself\n")


def test_hint_names_the_workflow() -> None:
    """It can be typed as it is."""
    with scripted([Answer.refusal(404, 10400, "no instance")]) as server:
        told = run("graph", "order", "--instance", "a", "--url", server.url)

    assert told.exit_code == 4
    assert told.stderr.endswith("hint: `stepwell instances list order` shows those there are\n")


@pytest.mark.parametrize(
    "options", [("--workflow", "order", "--version", "v2"), ("--instance", "a", "--version", "v2")]
)
def test_options_that_do_not_go_together_are_refused(options: tuple[str, ...]) -> None:
    """Before a server is asked."""
    told = run("graph", "order", *options)

    assert (told.exit_code, told.stdout) == (2, "")


def test_server_draws_what_it_serves(server: DevServer) -> None:
    """The newest version, and how an instance stands in it."""
    begin(server, "drawn", naps=2)

    version, instance = ask(server, "graph", "order"), ask(server, "graph", "order", "--instance", "drawn")

    assert version.stdout.splitlines() == [
        "Order  payload {fails, naps, says, waits}",
        "├─ charge",
        "├─ for number in range(event['payload'].get('naps', 0))",
        "│  └─ nap {number}  sleeps 0.001 seconds",
        "├─ if event['payload'].get('waits')",
        "│  └─ approval  waits for event approved, at most 24 hours",
        "└─ if event['payload'].get('fails')",
        "   └─ raise",
    ]
    assert [line.partition("[")[2] for line in instance.stdout.replace("['payload']", "").splitlines()] == [
        "", "complete]", "2 runs]", "2 runs]", "waiting]", "waiting]", "not reached]", "",
    ]  # fmt: skip
