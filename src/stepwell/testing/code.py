"""The code of a test's engine: classes that the test names, or a project as `stepwell dev` loads it."""

import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from stepwell import flow, scripts, wrangler
from stepwell.project import Project
from stepwell.scripts import schedules_of, workflow_name
from stepwell.store.operations import RegisterWorkflow, VersionSettings
from stepwell.workflow import WorkflowEntrypoint, params_schema

Workflow = type[WorkflowEntrypoint[Any]]

_SCRIPT = "tests"


@dataclass(frozen=True, slots=True)
class _Served:
    """A workflow: its class, the script that has it, and what the files say of it."""

    kind: Workflow
    script: str
    settings: VersionSettings
    flow: str | None


@dataclass(frozen=True, slots=True)
class Code:
    """Workflows by name, and what `self.env` has of them: `bindings` are the names of workflows, by binding."""

    served: Mapping[str, _Served]
    bindings: Mapping[str, str]
    variables: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, what: Workflow | Iterable[Workflow] | str | Path) -> "Code":
        """Return the code that a test names: a workflow's class, several, or the path of a project.

        Raises ScriptError.
        """
        if isinstance(what, str | Path):
            return _of_project(Path(what).resolve())
        kinds = [what] if isinstance(what, type) else list(what)
        served = {workflow_name(kind): _of_class(kind) for kind in kinds}
        return cls(served, _default_bindings(served))

    @property
    def workflows(self) -> dict[str, Workflow]:
        """The classes, by the names of their workflows."""
        return {name: one.kind for name, one in self.served.items()}

    def classes_of(self, workflows: Iterable[str]) -> dict[tuple[str, str], Workflow]:
        """Return the classes of workflows, by script and their own names."""
        served = [self.served[name] for name in workflows]
        return {(one.script, one.kind.__name__): one.kind for one in served}

    def name_of(self, workflow: Workflow | str) -> str:
        """Return the name of a workflow of a class, or the name itself."""
        if isinstance(workflow, str):
            return workflow
        # The same class may have been loaded twice: by the test's import, and from the project.
        named = (name for name, one in self.served.items() if one.kind is workflow)
        alike = (name for name, one in self.served.items() if one.kind.__name__ == workflow.__name__)
        return next(named, None) or next(alike, None) or workflow_name(workflow)

    def modules(self) -> list[ModuleType]:
        """Return the modules that the workflows are defined in."""
        return [sys.modules[one.kind.__module__] for one in self.served.values()]

    def registrations(self, account: str, now: int) -> Iterator[RegisterWorkflow]:
        """Yield what makes the workflows known."""
        for name, one in self.served.items():
            ids = _uuid(name, 1), _uuid(name, 2)
            made_of = name, one.script, one.kind.__name__, "0" * 64
            yield RegisterWorkflow(account, *made_of, *ids, now, params_schema(one.kind), one.settings, flow=one.flow)


def _of_class(kind: Workflow) -> _Served:
    settings = VersionSettings(schedules=schedules_of(kind))
    return _Served(kind, _SCRIPT, settings, flow.to_text(kind.flow, kind.__name__))


@cache
def _of_project(path: Path) -> Code:
    """Load a project, once in this process: what a test imports from it, or patches, is what runs."""
    project = Project.at(path)
    served = {
        name: _Served(kind, script.name, scripts.settings_of(script, name), script.flows.get(name))
        for script in scripts.load(project, is_loaded_once=True)
        for name, kind in script.workflows.items()
    }
    bindings = wrangler.bindings(project.config) or _default_bindings(served)
    return Code(served, bindings, wrangler.variables(project.config, project.root))


def _default_bindings(names: Iterable[str]) -> dict[str, str]:
    return {name.upper().replace("-", "_"): name for name in names}


def _uuid(name: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{number}"))
