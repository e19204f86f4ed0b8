"""Author's files: find, load and name the workflows in them. Loading runs the author's code, so only workers do it."""

import hashlib
import importlib.util
import linecache
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

import msgspec
from msgspec import Struct, field

from stepwell import checks, cron, flow, limits, memory, workers_package, wrangler
from stepwell.errors import InvalidInput, ScriptError
from stepwell.facts import fact
from stepwell.graph.folder import Folder
from stepwell.graph.listing import with_sources
from stepwell.graph.source import read_graph
from stepwell.project import Project
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store.code_graph import CodeGraph
from stepwell.store.operations import VersionSettings
from stepwell.web import WorkerEntrypoint
from stepwell.workflow import WorkflowEntrypoint

logger = logging.getLogger(__name__)

# Where pywrangler puts the packages that a project depends on.
_VENDORED = "python_modules"
_PACKAGES = {"site-packages", "dist-packages", _VENDORED}


class Script(Struct, frozen=True):
    """An author's script: its name, the hash of its source files, its workflows by name, and what to warn of.

    `worker` is the class whose `fetch` answers HTTP requests, if it has one. `step_limits` and `concurrency` are those
    that the wrangler file gives, by workflow; `graphs` are those of its classes, by their names; `flows` what they
    declare of limits, as JSON, and `schedules` cron expressions, by workflow.
    """

    name: str
    sha256: str
    workflows: dict[str, type[WorkflowEntrypoint]]
    worker: type[WorkerEntrypoint] | None = None
    warnings: tuple[str, ...] = ()
    step_limits: Mapping[str, int] = field(default_factory=dict)
    concurrency: Mapping[str, int] = field(default_factory=dict)
    graphs: Mapping[str, CodeGraph] = field(default_factory=dict)
    flows: Mapping[str, str | None] = field(default_factory=dict)
    schedules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load(project: Project, told: Settings = DEFAULT_SETTINGS, *, is_loaded_once: bool = False) -> list[Script]:
    """Load each file of a project that has a workflow or a Worker, on a server that has been told these settings.

    `is_loaded_once`: a file whose module is there, under its own name, is not loaded again. Raises ScriptError, whose
    message is the report for the author.
    """
    if str(project.folder) not in sys.path:
        sys.path.insert(0, str(project.folder))
    vendored = project.root / _VENDORED
    # Behind all others: what is installed here was made for this Python.
    if vendored.is_dir() and str(vendored) not in sys.path:
        sys.path.append(str(vendored))
    workers_package.offer()
    loading = _loaded if is_loaded_once else _import
    scripts = [script for file in project.files if (script := _load_file(file, project, told, loading)) is not None]
    if not any(script.workflows for script in scripts):
        raise ScriptError(
            f"no workflow in {project.source}: define a class that inherits from stepwell.WorkflowEntrypoint "
            "and has `async def run(self, event, step)`"
        )
    _refuse_same_names(scripts)
    _refuse_two_workers(scripts)
    _refuse_many_schedules(scripts, told.schedules_per_account)
    return scripts


def own_modules(folder: Path) -> list[ModuleType]:
    """Return the modules of a script's folder that are loaded: not those of packages installed beneath it."""
    beneath = str(folder) + os.sep
    # From their dicts: asking some modules for an attribute imports others, and an entry may be None.
    return [
        module
        for module in list(sys.modules.values())
        if (origin := getattr(module, "__dict__", {}).get("__file__") or "").startswith(beneath)
        and not _PACKAGES & set(Path(origin).parts)
    ]


def workflow_name(workflow: type[WorkflowEntrypoint]) -> str:
    """Return the name of a workflow that no wrangler file names: `OrderWorkflow` is `order-workflow`."""
    return wrangler.default_name(workflow.__name__)


def settings_of(script: Script, name: str) -> VersionSettings:
    """Return what the files of a script say of a workflow beside its code."""
    return VersionSettings(
        script.step_limits.get(name), script.concurrency.get(name), schedules=script.schedules.get(name, ())
    )


def _load_file(file: Path, project: Project, told: Settings, loading: Callable[[Path], ModuleType]) -> Script | None:
    before = set(sys.modules)
    module = loading(file)
    workflows = _workflows_of(module, file, wrangler.names(project.config))
    worker = _worker_of(module, file, with_imported=project.main == file)
    if not workflows and worker is None:
        return None
    sources = _sources(file, project.folder, set(sys.modules) - before)
    name = wrangler.script_name(project.config, file)
    where = f"the wrangler file of {project.root}"
    step_limits = wrangler.step_limits(project.config, where, told.most_steps_per_instance)
    schedules = _schedules(file, workflows, wrangler.schedules(project.config, where))
    classes = [workflow.__name__ for workflow in workflows.values()]
    return Script(
        name,
        _hash(sources, project.folder),
        workflows,
        worker,
        (*_warnings(sources, told), *_weekday_warnings(schedules)),
        step_limits,
        wrangler.concurrency(project.config, where),
        _graphs(file, project.folder, classes),
        {name: flow.to_text(kind.flow, f"{file}: {kind.__name__}") for name, kind in workflows.items()},
        schedules,
    )


def schedules_of(workflow: type[WorkflowEntrypoint]) -> tuple[str, ...]:
    """Return the cron expressions that a class has. Raises ScriptError."""
    try:
        return cron.check_all(workflow.schedules)
    except InvalidInput as error:
        raise ScriptError(f"`schedules` of the class {workflow.__name__}: {error}") from error


def _schedules(
    file: Path, workflows: Mapping[str, type[WorkflowEntrypoint]], named: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the cron expressions of workflows: those that the wrangler file gives, else those of the class."""
    try:
        return {name: named[name] if name in named else schedules_of(kind) for name, kind in workflows.items()}
    except ScriptError as error:
        raise ScriptError(f"{file}: {error}") from error


def _weekday_warnings(schedules: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what is to be warned of: numbers of weekdays, which people read as other crons do."""
    return tuple(
        f'workflow "{name}": {cron.warning(text)}'
        for name, texts in schedules.items()
        for text in texts
        if cron.counts_weekdays(text)
    )


def _workflows_of(module: ModuleType, file: Path, named: Mapping[str, str]) -> dict[str, type[WorkflowEntrypoint]]:
    """Return the workflows of a file by name: its own, and those that it imports for the wrangler file to name."""
    workflows: dict[str, type[WorkflowEntrypoint]] = {}
    for kind in vars(module).values():
        if not isinstance(kind, type) or not issubclass(kind, WorkflowEntrypoint) or kind is WorkflowEntrypoint:
            continue
        if kind.__module__ != module.__name__ and kind.__name__ not in named:
            continue
        name = named.get(kind.__name__, workflow_name(kind))
        if name in workflows:
            raise ScriptError(
                f"{file}: the classes {workflows[name].__name__} and {kind.__name__} would both be called "
                f'"{name}"; rename one'
            )
        if not limits.is_workflow_name(name):
            raise ScriptError(
                f'{file}: "{name}" cannot name a workflow: 1 to {limits.WORKFLOW_NAME_LENGTH} of {limits.NAME_RULE}'
            )
        workflows[name] = kind
    return workflows


def _warnings(sources: list[Path], told: Settings) -> tuple[str, ...]:
    """Return what the author is to be warned of. A fault of a check stops nobody's work."""
    most = told.retries_per_step
    try:
        return tuple(str(finding) for source in sources for finding in checks.check(source, retries_per_step=most))
    except Exception:  # a defect of a check must not keep the author from running his code
        logger.exception("the checks failed on %s", ", ".join(map(str, sources)), extra=fact("checks.failed"))
        return ()


def _graphs(file: Path, folder: Path, classes: Iterable[str]) -> dict[str, CodeGraph]:
    """Return the graphs of a file's classes. A fault of the reader's stops nobody's work."""
    files, main = Folder(folder), file.relative_to(folder).as_posix()
    found: dict[str, CodeGraph] = {}
    for name in classes:
        try:
            graph = read_graph(files, main, name)
        except Exception:  # a defect of the reader must not keep the author from running his code
            logger.exception(
                "the graph of %s in %s could not be read", name, file, extra=fact("graph.failed", workflow=name)
            )
            continue
        if graph.graph is None:
            logger.info("there is no graph of %s: %s", name, graph.note, extra=fact("graph.missing", workflow=name))
        kept = None if graph.graph is None else with_sources(graph.graph, files, main)
        body = None if kept is None else msgspec.json.encode(kept).decode()
        found[name] = CodeGraph(body, graph.note)
        # What was parsed is in circles; one class after the other would keep more than all the rest of a worker.
        memory.collect_young()
    return found


def _worker_of(module: ModuleType, file: Path, *, with_imported: bool) -> type[WorkerEntrypoint] | None:
    """Return the class whose `fetch` answers requests: what is called `Default`, or the only one that there is.

    What a file imports counts where the wrangler file names it in `main`: there it is what Cloudflare serves.

    Source: developers.cloudflare.com/workers/languages/python/
    """
    found = {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, WorkerEntrypoint)
        and kind.fetch is not WorkerEntrypoint.fetch
        and (with_imported or kind.__module__ == module.__name__)
    }
    if "Default" in found:
        return found["Default"]
    # Not those that others inherit their `fetch` from.
    kinds = set(found.values())
    last = {kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)}
    if len(last) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in last))
        raise ScriptError(f"{file}: {names} have a `fetch`; call the one that answers requests `Default`")
    return next(iter(last), None)


def _loaded(file: Path) -> ModuleType:
    known = sys.modules.get(file.stem)
    return known if known is not None and getattr(known, "__file__", None) == str(file) else _import(file)


def _import(file: Path) -> ModuleType:
    name = file.stem if file.stem.isidentifier() and file.stem not in sys.modules else f"_script_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ScriptError(f"{file} is not a Python file; its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    linecache.checkcache()
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ScriptError(_syntax_report(error)) from error
    except (Exception, SystemExit) as error:
        raise ScriptError(_import_report(file, error)) from error
    return module


def _syntax_report(error: SyntaxError) -> str:
    """Show file, line and caret, as Python does."""
    return "".join(traceback.format_exception_only(error)).rstrip()


def _import_report(file: Path, error: BaseException) -> str:
    """Show the author's part of the trace: from his file on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = next((i for i, frame in enumerate(frames) if frame.filename == str(file)), 0)
    shown = "".join(traceback.format_list(frames[own:]) + traceback.format_exception_only(error))
    return f"{file} cannot be loaded:\n{shown.rstrip()}"


def _sources(file: Path, folder: Path, loaded: Iterable[str]) -> list[Path]:
    """Return the script's file and the modules of its folder that loading it brought in."""
    origins = (getattr(sys.modules.get(name), "__file__", None) for name in loaded)
    beside = {Path(origin) for origin in origins if origin and Path(origin).is_relative_to(folder)}
    beside = {path for path in beside if _VENDORED not in path.relative_to(folder).parts}
    return sorted({file, *beside})


def _hash(sources: list[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    for source in sources:
        content = source.read_bytes()
        digest.update(f"{source.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _refuse_same_names(scripts: list[Script]) -> None:
    owners: dict[str, str] = {}
    for script in scripts:
        for name in script.workflows:
            if name in owners:
                raise ScriptError(f'the scripts "{owners[name]}" and "{script.name}" both have a workflow "{name}"')
            owners[name] = script.name


def _refuse_many_schedules(scripts: list[Script], most: int) -> None:
    count = sum(len(texts) for script in scripts for texts in script.schedules.values())
    if count > most:
        raise ScriptError(
            f"the files have {count:,} cron expressions, and an account may have {most:,} (the setting "
            "schedules_per_account)"
        )


def _refuse_two_workers(scripts: list[Script]) -> None:
    owners = [script.name for script in scripts if script.worker is not None]
    if len(owners) > 1:
        raise ScriptError(
            f"the scripts {', '.join(owners)} each have a WorkerEntrypoint with `fetch`, and one port serves one; "
            "serve one of the files alone, or name it in the wrangler file's `main`"
        )
