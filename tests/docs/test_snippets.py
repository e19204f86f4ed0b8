"""Everything that README.md and docs/ show is run, parsed or read; what is not says why in left_out.py."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwell import WorkflowEntrypoint, server_settings
from stepwell.api.body import decode
from stepwell.api.jobs import JobBody
from stepwell.checks import check
from stepwell.testing import TestEngine
from stepwell.testing.code import Code
from tests.cli.commands import run
from tests.docs.left_out import LEFT_OUT
from tests.docs.snippets import PAGES, ROOT, Snippet, commands, refusal, snippets, text_of
from tools import log_reference

# What workflows that no test of their page runs are given, and what comes of it: None and None, where nothing is said.
RUNS: dict[tuple[str, str], tuple[Any, Any]] = {
    ("README.md", "Hello"): ({"name": "Ann"}, "Hello, Ann!"),
    ("docs/authoring.md", "OrderWorkflow"): ({"item": "book", "cents": 6}, "sent 42 on A5"),
    ("docs/authoring.md", "Export"): (None, {"bytes": 588_890, "lines": 100_000}),
    ("docs/authoring.md", "Payment"): (None, 51),
    ("docs/authoring.md", "Trip"): (None, "ValueError: no car is free; its rollback: complete"),
    ("docs/authoring.md", "Import"): (None, "copied"),
    ("docs/authoring.md", "Report"): (None, 3 * 2**20),
    ("docs/authoring.md", "Shipping"): ({"to": "Linz"}, {"at": "Linz"}),
    ("docs/authoring.md", "Order"): (None, {"at": "Graz"}),
    ("docs/authoring.md", "Nightly"): (None, "done"),
    ("docs/authoring.md", "Signup"): ({"name": "Ann"}, "Welcome, Ann!"),
    ("docs/embedding.md", "Order"): ({"item": "book"}, "book shipped"),
    ("docs/flow.md", "Agent"): ({"goal": "rain"}, "an answer to an answer to rain"),
    # It waits for an event: tests/docs/test_migrate.py sends it.
    ("docs/guides/migrate-cloudflare.md", "ParcelWorkflow"): ({"cents": 4200}, None),
    ("docs/tracing.md", "Payment"): (None, "paid"),
}


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file that a page shows, in a folder of the page's own."""

    page: str
    path: Path

    def __str__(self) -> str:
        return f"{self.page}: {self.path.name}"

    @property
    def is_test(self) -> bool:
        return "def test_" in self.path.read_text("utf-8")

    @property
    def has_workflow(self) -> bool:
        return "(WorkflowEntrypoint" in self.path.read_text("utf-8")

    @property
    def is_program(self) -> bool:
        return re.search(r"^asyncio\.run\(", self.path.read_text("utf-8"), re.MULTILINE) is not None

    @property
    def is_tested(self) -> bool:
        """Whether a test of its page imports it."""
        tests = [file.read_text("utf-8") for file in self.path.parent.glob("test_*.py")]
        return any(re.search(rf"^(?:from|import) {self.path.stem}\b", text, re.MULTILINE) for text in tests)


def _is_left_out(snippet: Snippet) -> bool:
    return any(snippet.page.startswith(page) and snippet.text.startswith(first) for page, first, _ in LEFT_OUT)


def _blocks(language: str) -> list[Snippet]:
    return [one for one in snippets() if one.language == language and not _is_left_out(one)]


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[Module]:
    """All Python that pages show, in files: those of one name on a page are one."""
    top, found = tmp_path_factory.mktemp("pages"), dict[Path, Module]()
    for snippet in _blocks("python"):
        folder = top / snippet.page.removeprefix("docs/").removesuffix(".md").replace("/", "_")
        folder.mkdir(exist_ok=True)
        name = snippet.file
        if name.startswith("block_") and "def test_" in snippet.text:
            # pytest wants each to have a name of its own.
            name = f"test_{folder.name}_{snippet.line}.py"
        path = folder / name
        found[path] = Module(snippet.page, path)
        with path.open("a", encoding="utf-8") as file:
            file.write(snippet.text)
    return [*found.values()]


def test_what_is_left_out_is_there() -> None:
    """Each entry is about a block or a command that is shown, and the test that it names exists."""
    shown = [(one.page, one.text) for one in snippets()] + [(one.page, one.text) for one in commands()]
    gone = [
        f"{page}: {first}"
        for page, first, _ in LEFT_OUT
        if not any(where.startswith(page) and text.startswith(first) for where, text in shown)
    ]
    tests = {name for _, _, reason in LEFT_OUT for name in re.findall(r"tests/[\w/]+\.py", reason)}

    assert gone == []
    assert [name for name in tests if not (ROOT / name).is_file()] == []


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    """Another one needs a test here, or a reason; test_typed.py and test_guides.py hold what commands say."""
    known = {"python", "sh", "console", "json", "toml", "yaml"}

    assert [str(one) for one in snippets() if one.language not in known and not _is_left_out(one)] == []


def test_every_command_line_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real command line knows the command, its options and its arguments."""
    monkeypatch.chdir(tmp_path)
    meant = [
        command
        for command in commands()
        if not any(page == command.page and first and command.text.startswith(first) for page, first, _ in LEFT_OUT)
    ]

    assert len(meant) > 200
    assert [f"{command}: {said}" for command in meant if (said := refusal(command))] == []


def test_every_block_for_a_shell_is_read_by_one() -> None:
    """Quotes are closed, and what has to follow follows; `make` has the targets, and the package the extras."""
    scripts = {str(one): one.text for one in _blocks("sh")}
    told = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.optional-dependencies]")[2]
    extras = set(re.findall(r"^(\w+) = \[", told.partition("\n[")[0], re.MULTILINE))
    text = "\n".join(map(text_of, PAGES))

    read = {
        place: subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False).stderr
        for place, script in scripts.items()
    }

    assert {place: said for place, said in read.items() if said} == {}
    assert {name for some in re.findall(r"\bstepwell\[([\w,]+)\]", text) for name in some.split(",")} <= extras


def test_every_module_is_what_stepwell_check_wants(modules: list[Module]) -> None:
    """No page shows a mistake that the checks know, but those that are about it."""
    assert [str(finding) for module in modules for finding in check(module.path)] == []


def test_every_module_of_an_application_loads(modules: list[Module]) -> None:
    """What it imports is there, and it is made as the page makes it."""
    apps = [module.path for module in modules if not (module.has_workflow or module.is_test or module.is_program)]

    loaded = {path.name: runpy.run_path(str(path)) for path in apps}

    assert {name for name, names in loaded.items() if "app" in names} == {"app.py", "web.py"}


async def test_every_workflow_runs(modules: list[Module]) -> None:
    """Each that no test of its page runs comes to its end, as RUNS says."""
    came, wanted = {}, {}
    for module in modules:
        if module.has_workflow and not (module.is_test or module.is_tested):
            for kind in Code.of(module.path).workflows.values():
                asked = module.page, kind.__name__
                params, wanted[asked] = RUNS.get(asked, (None, None))
                came[asked] = await _run(module, kind, params)

    assert came == wanted
    assert set(RUNS) <= set(came)


async def _run(module: Module, kind: type[WorkflowEntrypoint[Any]], params: Any) -> Any:
    async with TestEngine.open(module.path) as engine:
        instance = await engine.create(kind, params=params)
        await engine.advance("1 hour")
        rollback = (await instance.log()).rollback
        error = await instance.error()
        if error is not None:
            return f"{error.name}: {error.message}; its rollback: {rollback and rollback.outcome}"
        assert rollback is None
        return await instance.output()


def test_every_test_passes(modules: list[Module]) -> None:
    """Pytest runs those of all pages with nothing but the kit's own plugin."""
    tests = [module for module in modules if module.is_test]

    done = [_pytest(folders) for folders in _apart(sorted({module.path.parent for module in tests}))]

    shown = sum(len(re.findall(r"^ *(?:async )?def test_", t.path.read_text("utf-8"), re.MULTILINE)) for t in tests)
    passed = sum(int(number) for one in done for number in re.findall(r"^(\d+) passed", one, re.MULTILINE))
    assert passed == shown, "\n".join(done)


def _apart(folders: Sequence[Path]) -> list[list[Path]]:
    """Return folders in groups in which no two have files of one name, by which alone a process knows a module."""
    groups: list[tuple[set[str], list[Path]]] = []
    for folder in folders:
        names = {file.name for file in folder.iterdir()}
        group = next((one for one in groups if not one[0] & names), None)
        if group is None:
            groups.append(group := (set(), []))
        group[0].update(names)
        group[1].append(folder)
    return [together for _, together in groups]


def _pytest(folders: Sequence[Path]) -> str:
    options = ("-q", "-Werror", "-p", "stepwell.testing.plugin", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *folders],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folders[0].parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_program_ends_well(modules: list[Module]) -> None:
    """Programs run in a folder with the other files of their page."""
    programs = [module.path for module in modules if module.is_program]
    ran = [
        subprocess.run([sys.executable, path.name], cwd=path.parent, capture_output=True, text=True, check=False)
        for path in programs
    ]

    assert [path.name for path in programs] == ["once.py"]
    assert [(one.returncode, one.stdout) for one in ran] == [(0, "book shipped\n")], ran[0].stderr


def test_every_json_is_what_it_says() -> None:
    """A request body is one that its route takes, and a line of the log one that a server writes."""
    for snippet in _blocks("json"):
        json.loads(snippet.text)
    (job,), (line,) = (
        [one.text for one in _blocks("json") if one.page == f"docs/{page}.md"] for page in ("search", "operating")
    )
    row = next(row for row in log_reference.reference().splitlines() if row.startswith("| `worker.died` |"))

    assert decode(job.encode(), JobBody).action == "restart"
    keys = [*json.loads(line)]
    assert keys[:6] == ["time", "level", "event", "message", "logger", "process"]
    assert set(keys[6:]) <= set(re.findall(r"`(\w+)`", row.rpartition(" | ")[2]))


def test_every_settings_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server reads the settings, and a command the profile that it is told to use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("STEPWELL_URL", "STEPWELL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, port in (("home", 1), ("staging", 2)):
        run("profile", "set", name, "--url", f"http://127.0.0.1:{port}")
    told = {}
    for snippet in _blocks("toml"):
        (tmp_path / "stepwell.toml").write_text(snippet.text)
        settings = server_settings.tell([], {}, tmp_path).settings
        profile = run("profile", "show").stdout
        told[str(snippet)] = settings != server_settings.Settings(), "http://127.0.0.1:2" in profile

    assert sorted(told.values()) == [(False, True), (True, False), (True, False)], told


def test_every_yaml_is_read() -> None:
    """It is what its program expects at least in form."""
    assert [[*yaml.safe_load(one.text)] for one in _blocks("yaml")] == [["scrape_configs"]]
