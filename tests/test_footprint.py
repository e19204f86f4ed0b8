"""What a server and a worker that do nothing have loaded: what is needed seldom waits until it is."""

import gc
import subprocess
import sys
from ast import ClassDef
from pathlib import Path

import pytest

from stepwell.api import routes
from stepwell.env import Bindings, Env
from stepwell.project import Project
from stepwell.scripts import load

SOURCE = """
from stepwell import WorkflowEntrypoint

class {name}(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("a", lambda: 1)
"""

# As `stepwell dev` and `serve` load it.
SERVER = "stepwell.cli.serving_commands, stepwell.cli.dev, stepwell.api, stepwell.http_server"
WORKER = "stepwell.worker_process"
OF_NEITHER = "asyncpg cronsim difflib dotenv rich jsonschema httpx2 stepwell.sdk tomllib zoneinfo"
OF_NO_SERVER = (
    "html.entities importlib.metadata websockets stepwell.api.audit stepwell.api.openapi stepwell.api.webhooks "
    "stepwell.cli.instances_group stepwell.dashboard stepwell.graph.layout stepwell.graph.svg stepwell.http_sockets "
    "stepwell.rehearsal stepwell.runner stepwell.worker stepwell.workflow"
)
OF_NO_WORKER = (
    "apsw click email http.client starlette tempfile uvicorn uvloop stepwell.answers stepwell.api stepwell.bindings "
    "stepwell.checks.causes stepwell.code_process stepwell.engine stepwell.isolated stepwell.rehearsal "
    "stepwell.webhooks"
)


@pytest.mark.parametrize(
    ("loaded", "spared"),
    [
        pytest.param(SERVER, f"{OF_NEITHER} {OF_NO_SERVER}", id="server"),
        pytest.param(WORKER, f"{OF_NEITHER} {OF_NO_WORKER}", id="worker"),
        pytest.param(
            "stepwell.cli", "asyncio stepwell.cli.serving_commands stepwell.cli.instances_group", id="command"
        ),
    ],
)
def test_what_is_needed_seldom_is_not_loaded(loaded: str, spared: str) -> None:
    """Each of these costs memory and time that an idle server, or a short command, has no use for."""
    program = f"import sys, {loaded}; print(*(name for name in sys.argv[1:] if name in sys.modules))"

    done = subprocess.run([sys.executable, "-c", program, *spared.split()], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


# Those that are left have fields that are not for `__init__`, or for `repr`, or are known to users as dataclasses.
@pytest.mark.parametrize(("loaded", "most"), [(SERVER, 14), (WORKER, 2)], ids=["server", "worker"])
def test_values_are_structs(loaded: str, most: int) -> None:
    """A dataclass takes five times the memory, and forty times as long to define."""
    program = (
        f"import sys, dataclasses, {loaded}\n"
        "ours = [module for name, module in sys.modules.items() if name.startswith('stepwell')]\n"
        "kinds = {one for module in ours for one in vars(module).values() if isinstance(one, type)}\n"
        "found = filter(dataclasses.is_dataclass, kinds)\n"
        "print(*(one.__name__ for one in found if one.__module__.startswith('stepwell')))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert len(names := done.stdout.split()) <= most, names


def test_each_route_has_what_answers() -> None:
    """It is named by a text, so that nothing is loaded for it: a slip would be seen by who asks first."""
    answers = [route.handler for _, by_method in routes.all_routes() for route in by_method.values()]

    assert all(map(callable, answers))


def test_source_is_not_kept_once_its_graph_is_read(tmp_path: Path) -> None:
    """What was parsed is in circles, of which one for each workflow would stay until the next collection."""
    names = [f"Footprint{n}" for n in range(3)]
    (tmp_path / "many.py").write_text("".join(SOURCE.format(name=name) for name in names))
    gc.collect()
    gc.disable()
    try:
        (script,) = load(Project.at(tmp_path / "many.py"))
        kept = [one for one in gc.get_objects() if isinstance(one, ClassDef)]
    finally:
        gc.enable()

    assert all(graph.body is not None for graph in script.graphs.values())
    assert len(script.graphs) == 3
    assert kept == []


def test_binding_is_made_when_it_is_first_asked_for() -> None:
    """Once, and only the one; which ones there are is known before."""
    made: list[str] = []

    def make(workflow: str) -> str:
        made.append(workflow)
        return workflow.title()

    env = Env(Bindings({"ORDERS": "orders", "STOCK": "stock"}, make), {})

    shown, orders, again = repr(env), env.ORDERS, env.ORDERS

    assert (shown, orders, again) == ("<Env ORDERS, STOCK>", "Orders", "Orders")
    assert made == ["orders"]
