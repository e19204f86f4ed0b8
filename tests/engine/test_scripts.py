"""Loading an author's files: names, hashes, warnings, and reports of what is wrong."""

import sys
from pathlib import Path

import pytest

from stepwell.errors import ScriptError
from stepwell.project import Project
from stepwell.scripts import load, own_modules

SOURCE = """
from stepwell import WorkflowEntrypoint

class {name}(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            await step.sleep("nap", 500)
        finally:
            {last}
"""


def _write(folder: Path, file: str = "one.py", name: str = "OrderFlow", last: str = "pass") -> Path:
    path = folder / file
    path.write_text(SOURCE.format(name=name, last=last))
    return path


def test_class_name_becomes_the_workflow_name(tmp_path: Path) -> None:
    """Without a wrangler file a workflow is called as its class, in kebab case, and its script as the file."""
    (script,) = load(Project.at(_write(tmp_path)))

    assert (script.name, list(script.workflows)) == ("one", ["order-flow"])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param(
            "wrangler.jsonc",
            """{ // the name of the script
               "name": "shop", "workflows": [{"name": "orders", "class_name": "OrderFlow", "binding": "B",},],
            }""",
            id="jsonc",
        ),
        pytest.param(
            "wrangler.toml",
            'name = "shop"\n[[workflows]]\nname = "orders"\nclass_name = "OrderFlow"\nbinding = "B"\n',
            id="toml",
        ),
    ],
)
def test_wrangler_file_names_script_and_workflow(tmp_path: Path, file: str, text: str) -> None:
    """A wrangler file beside the source says how script and workflow are called."""
    (tmp_path / file).write_text(text)

    (script,) = load(Project.at(_write(tmp_path)))

    assert (script.name, list(script.workflows)) == ("shop", ["orders"])


def test_hash_changes_with_the_source_and_with_nothing_else(tmp_path: Path) -> None:
    """The same source has the same hash, so that a restart makes no new version; another source has another."""
    first = load(Project.at(_write(tmp_path)))[0].sha256

    again = load(Project.at(_write(tmp_path)))[0].sha256
    changed = load(Project.at(_write(tmp_path, last="print()")))[0].sha256

    assert first == again
    assert first != changed


def test_finally_that_does_something_is_warned_of_with_its_line(tmp_path: Path) -> None:
    """A `finally` with a call in it runs at every sleep, which nobody expects: it is named with file and line."""
    (quiet,) = load(Project.at(_write(tmp_path)))
    path = _write(tmp_path, "two.py", last="print('done')")
    (loud,) = load(Project.at(path))

    assert quiet.warnings == ()
    assert loud.warnings[0].startswith(f"{path}:9:13: finally-in-run: a `finally` in `run` also runs each time")


def test_module_that_a_script_imports_is_looked_at_too(tmp_path: Path) -> None:
    """A mistake in a module of the script's folder is warned of with that module's name."""
    (tmp_path / "parts_of_a_flow.py").write_text("async def part(step):\n    step.sleep('nap', 500)\n")
    path = _write(tmp_path, "whole.py")
    path.write_text("import parts_of_a_flow\n" + path.read_text())

    (script,) = load(Project.at(path))

    assert [warning.partition(": step.")[0] for warning in script.warnings] == [
        f"{tmp_path}/parts_of_a_flow.py:2:5: not-awaited"
    ]


def test_packages_beside_the_code_are_imported_and_are_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pywrangler puts there is used where nothing of that name is installed; it is not the author's code."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for package in ("put_beside_the_code", "msgspec"):
        (tmp_path / "python_modules" / package).mkdir(parents=True)
        (tmp_path / "python_modules" / package / "__init__.py").write_text("SAYS = 1\n")
    path = _write(tmp_path)
    path.write_text(f"import msgspec\nimport put_beside_the_code\n\nENCODE = msgspec.json.encode\n{path.read_text()}")

    (script,) = load(Project.at(path))
    (tmp_path / "python_modules" / "put_beside_the_code" / "__init__.py").write_text("SAYS = 2\n")
    (same,) = load(Project.at(path))

    own = [module.__name__ for module in own_modules(tmp_path)]
    assert script.sha256 == same.sha256
    assert "put_beside_the_code" in sys.modules
    assert "put_beside_the_code" not in own


def test_folder_is_loaded_file_by_file(tmp_path: Path) -> None:
    """Each file of a folder that has a workflow is a script; tests and private files are left out."""
    _write(tmp_path)
    _write(tmp_path, "two.py", name="Other")
    _write(tmp_path, "test_three.py", name="Third")
    _write(tmp_path, "_four.py", name="Fourth")
    (tmp_path / "helper.py").write_text("x = 1\n")

    scripts = load(Project.at(tmp_path))

    assert [(script.name, *script.workflows) for script in scripts] == [("one", "order-flow"), ("two", "other")]


def test_two_workflows_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two scripts with a workflow of the same name are refused, naming both."""
    _write(tmp_path)
    _write(tmp_path, "two.py")

    with pytest.raises(ScriptError, match='the scripts "one" and "two" both have a workflow "order-flow"'):
        load(Project.at(tmp_path))


def test_script_has_the_graphs_of_its_classes(tmp_path: Path) -> None:
    """Each as JSON, by the name of the class; what is imported only when `run` is on its way is read as well."""
    (tmp_path / "later.py").write_text("async def go(step):\n    await step.sleep('there', 5)\n")
    path = _write(tmp_path, last="from later import go; await go(step)")

    (script,) = load(Project.at(path))

    assert list(script.graphs) == ["OrderFlow"]
    graph = script.graphs["OrderFlow"]
    assert graph.note == ""
    assert [part in (graph.body or "") for part in ('"name":"nap"', '"name":"there"')] == [True, True]


def test_class_that_no_source_has_is_loaded_without_a_graph(tmp_path: Path) -> None:
    """A note says so, and the workflow runs."""
    path = _write(tmp_path)
    path.write_text(f"{path.read_text()}\nMade = type('Made', (OrderFlow,), {{'__module__': __name__}})\n")

    (script,) = load(Project.at(path))

    assert sorted(script.workflows) == ["made", "order-flow"]
    assert script.graphs["Made"].body is None
    assert script.graphs["Made"].note == "one.py has no class Made in its source"


def test_fault_of_the_reader_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and there is no graph."""
    monkeypatch.setattr("stepwell.scripts.read_graph", lambda *_: 1 / 0)

    (script,) = load(Project.at(_write(tmp_path)))

    assert (list(script.workflows), script.graphs) == (["order-flow"], {})
    assert "the graph of OrderFlow" in caplog.text
