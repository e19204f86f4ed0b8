"""Where an author's code and its wrangler file are found, and the package `workers` that it imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.errors import ScriptError
from stepwell.project import Project
from stepwell.scripts import load

FLOW = """
from workers import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        return 1
"""
WRANGLER = '{"name": "shop", "main": "src/entry.py", "workflows": [{"name": "orders", "class_name": "Order"}]}'


@pytest.fixture
def cloudflare(tmp_path: Path) -> Path:
    """Return a folder laid out as Cloudflare's tools do it."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(FLOW)
    (tmp_path / "src" / "other.py").write_text("raise RuntimeError('not to be loaded')")
    (tmp_path / "wrangler.jsonc").write_text(WRANGLER)
    return tmp_path


@pytest.mark.parametrize("given", [".", "src/entry.py"])
def test_wrangler_file_names_the_source(cloudflare: Path, given: str) -> None:
    """A folder is its `main`; a file that a wrangler file above names belongs to that."""
    project = Project.at(cloudflare / given)

    assert project.files == [cloudflare / "src" / "entry.py"]
    assert (project.root, project.folder) == (cloudflare, cloudflare / "src")
    assert project.config["name"] == "shop"


def test_file_that_main_does_not_name_stands_alone(cloudflare: Path) -> None:
    """A wrangler file above that names another source says nothing about this one."""
    project = Project.at(cloudflare / "src" / "other.py")

    assert (project.root, dict(project.config)) == (cloudflare / "src", {})


@pytest.mark.parametrize("main", ["src/index.ts", None])
def test_main_that_is_no_python_is_passed_over(tmp_path: Path, main: str | None) -> None:
    """A wrangler file of a JavaScript Worker beside Python files names no source of ours."""
    (tmp_path / "one.py").write_text(FLOW)
    (tmp_path / "wrangler.json").write_text("{}" if main is None else f'{{"main": "{main}"}}')

    assert Project.at(tmp_path).files == [tmp_path / "one.py"]


def test_main_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which file is missing, and who wants it."""
    (tmp_path / "wrangler.toml").write_text('main = "src/gone.py"\n')

    with pytest.raises(ScriptError, match=r"names .*src/gone\.py in `main`, and there is no such file"):
        Project.at(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("wrangler.json", b'{"a":' * 100_000, "cannot be read: it is nested too deeply", id="deep JSON"),
        pytest.param(
            "wrangler.toml", b"a=" + b"[" * 100_000, "cannot be read: it is nested too deeply", id="deep TOML"
        ),
        pytest.param(
            "wrangler.jsonc", b"/* " * 400_000, "cannot be read: Expecting value", id="comment without an end"
        ),
        pytest.param("wrangler.jsonc", b'"' + b'\\"' * 400_000, "cannot be read: ", id="text without an end"),
        pytest.param("wrangler.toml", b"\xff", "cannot be read: 'utf-8' codec can't decode byte 0xff", id="no text"),
        pytest.param("wrangler.json", b'{"main": "a\\u0000.py"}', "`main` has to be the path of a file", id="no path"),
        pytest.param("wrangler.json", b'{"main": "\\ud800.py"}', "`main` has to be the path of a file", id="surrogate"),
    ],
)
def test_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """Whatever stands in it: the file is named, with what is wrong."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ScriptError, match=f"{re.escape(name)}.*{re.escape(problem)}"):
        Project.at(tmp_path)


def test_last_comma_before_a_comment_is_no_fault(tmp_path: Path) -> None:
    """JSONC as Cloudflare's pages show it is read, comments and commas in texts kept."""
    (tmp_path / "wrangler.jsonc").write_text('{"name": "a,] // b", /* c */ "vars": {"x": [1, 2, // d\n ], }, // e\n}')

    assert Project.at(tmp_path).config == {"name": "a,] // b", "vars": {"x": [1, 2]}}


def _import_in_a_process(folder: Path, statement: str) -> str:
    """Load a project in a process of its own, run a statement after it, and return what that printed."""
    code = "from pathlib import Path; from stepwell.project import Project; from stepwell.scripts import load\n"
    code += f"load(Project.at(Path({str(folder)!r})))\n{statement}"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("place", ["workers.py", "workers/__init__.py", "workers/parts.py", "workers/jobs/parts.py"])
def test_package_of_the_authors_own_is_never_shadowed(tmp_path: Path, place: str) -> None:
    """A module or package `workers` of the author's is what his code imports."""
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("HANDS = 2\n")
    (tmp_path / "flow.py").write_text(FLOW.replace("from workers", "from stepwell"))
    own = place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    assert _import_in_a_process(tmp_path, f"import {own}; print({own}.HANDS)") == "2\n"


def test_installed_package_is_shadowed_only_if_it_is_cloudflares(tmp_path: Path) -> None:
    """What is installed under the name `workers` wins, unless it is the one that runs on Cloudflare alone."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "flow.py").write_text(FLOW)
    theirs = tmp_path / "site" / "workers"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("import js\n")
    (theirs / "_workers.py").write_text("")
    code = f"import sys; sys.path.append({str(theirs.parent)!r})\n"
    code += "from pathlib import Path; from stepwell.project import Project; from stepwell.scripts import load\n"
    code += f"print(*load(Project.at(Path({str(tmp_path / 'app')!r})))[0].workflows)"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "order\n", done.stderr
    (theirs / "_workers.py").unlink()
    (theirs / "__init__.py").write_text("")
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "cannot import name 'WorkflowEntrypoint' from 'workers'" in done.stderr


def test_name_that_stepwell_does_not_have_is_told(tmp_path: Path) -> None:
    """What of Cloudflare's package is missing is said by name, with what is there."""
    (tmp_path / "flow.py").write_text("from workers import DurableObject\n")

    with pytest.raises(ScriptError, match=r"workers\.DurableObject: Stepwell's `workers` has Request, Response, "):
        load(Project.at(tmp_path))
    sys.modules.pop("flow", None)


WORKER = """
from workers import Response, WorkerEntrypoint, WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        return 1

class {name}(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("x")
"""
SECOND = """
class Admin(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("x")
"""


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param(WORKER.format(name="Default"), "Default", id="Default"),
        pytest.param(WORKER.format(name="Api"), "Api", id="the only one"),
        pytest.param(WORKER.format(name="Default") + SECOND, "Default", id="Default among others"),
        pytest.param(FLOW, None, id="none"),
        pytest.param(
            WORKER.partition("    async def fetch")[0].format(name="Api") + "    pass\n",
            None,
            id="none of its own",
        ),
    ],
)
def test_class_that_answers_requests_is_found(tmp_path: Path, source: str, name: str | None) -> None:
    """It is called `Default`, or is the only one with a `fetch`."""
    (tmp_path / "flow_with_fetch.py").write_text(source)

    (script,) = load(Project.at(tmp_path))

    assert (script.worker and script.worker.__name__) == name


def test_two_classes_that_answer_requests_are_refused(tmp_path: Path) -> None:
    """Two classes in one file, or one in each of two files, are told apart by the author."""
    (tmp_path / "flow.py").write_text(WORKER.format(name="Api") + SECOND)
    with pytest.raises(ScriptError, match="Admin, Api have a `fetch`; call the one that answers requests `Default`"):
        load(Project.at(tmp_path))
    (tmp_path / "flow.py").write_text(WORKER.format(name="Default"))
    (tmp_path / "more.py").write_text(WORKER.format(name="Default").replace("Order", "Other"))
    with pytest.raises(ScriptError, match="the scripts flow, more each have a WorkerEntrypoint with `fetch`"):
        load(Project.at(tmp_path))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param(WORKER.format(name="Api") + "\nDefault = Api\n", "Api", id="Default by another name"),
        pytest.param(WORKER.format(name="Base") + "\nclass Api(Base): pass\n", "Api", id="inherited"),
        pytest.param(FLOW + "\nfrom shared_worker_for_tests import Default\n", None, id="imported"),
    ],
)
def test_class_that_answers_requests_is_counted_once(tmp_path: Path, source: str, name: str | None) -> None:
    """Another name, a base class, and an import make no second one."""
    (tmp_path / "shared_worker_for_tests.py").write_text(WORKER.format(name="Default").replace("Order", "Shared"))
    (tmp_path / "flow_with_more.py").write_text(source)

    (script,) = load(Project.at(tmp_path / "flow_with_more.py"))

    assert (script.worker and script.worker.__name__) == name


def test_worker_may_stand_in_a_file_without_a_workflow(tmp_path: Path) -> None:
    """A folder's Worker is served whichever of its files it is in."""
    (tmp_path / "flow_alone.py").write_text(FLOW)
    worker = WORKER.format(name="Default")
    (tmp_path / "worker_alone.py").write_text(worker.replace("WorkflowEntrypoint)", "object)").replace("(object)", ""))

    scripts = load(Project.at(tmp_path))

    assert [(script.name, list(script.workflows), script.worker is not None) for script in scripts] == [
        ("flow_alone", ["order"], False),
        ("worker_alone", [], True),
    ]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        pytest.param("wrangler.toml", "[workflows]\nname = 'a'\n", "`workflows` has to be a list", id="one table"),
        pytest.param("wrangler.json", '{"vars": ["a"]}', "`vars` has to be a table", id="vars"),
        pytest.param("wrangler.json", '{"workflows": [{"name": 5}]}', "`name` of a workflow has to be", id="name"),
        pytest.param("wrangler.json", "[]", "it has to be a JSON object", id="no object"),
        pytest.param("wrangler.json", '{"main": "../elsewhere.py"}', "not beneath that folder", id="main elsewhere"),
        pytest.param("wrangler.json", '{"vars": {"a": "\\ud800"}}', "surrogates not allowed", id="half a pair"),
        pytest.param("wrangler.json", "[" * 5_000 + "]" * 5_000, "nested too deeply", id="deep"),
        pytest.param("wrangler.json", "{} /* oops", "Extra data", id="comment without an end"),
        # Each would take minutes if every quote, or mark, in it was looked at as the beginning of one.
        pytest.param("wrangler.json", '"' + '\\"' * 200_000, "Unterminated string", id="text without an end"),
        pytest.param("wrangler.json", "/* " * 200_000, "Expecting value", id="comments without an end"),
    ],
)
def test_wrangler_file_of_the_wrong_shape_is_refused_by_name(
    tmp_path: Path, file: str, text: str, problem: str
) -> None:
    """What is wrong is said with the file, before any code is loaded."""
    (tmp_path / "elsewhere.py").write_text(FLOW)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / file).write_text(text)

    with pytest.raises(ScriptError, match=problem):
        Project.at(folder)


def test_wrangler_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "wrangler.json").write_text('\ufeff{"name": "shop"}', encoding="utf-8")

    assert Project.at(tmp_path).config["name"] == "shop"


def test_workflow_may_be_imported_if_the_wrangler_file_names_it(cloudflare: Path) -> None:
    """A class from another module counts where the wrangler file names it; else an import is only an import."""
    (cloudflare / "src" / "orders_elsewhere.py").write_text(FLOW + FLOW.replace("Order", "Draft"))
    (cloudflare / "src" / "entry.py").write_text("from orders_elsewhere import Draft, Order\n")

    (script,) = load(Project.at(cloudflare))

    assert list(script.workflows) == ["orders"]
