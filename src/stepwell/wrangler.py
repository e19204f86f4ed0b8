"""The wrangler file and `.dev.vars` beside an author's source: names, bindings, variables.

Source: developers.cloudflare.com/workers/wrangler/configuration/
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stepwell import cron
from stepwell.errors import InvalidInput, ScriptError
from stepwell.limits import MOST_CONCURRENCY

FILES = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")
# The one that is written for code that comes without one.
WRITTEN_FILE = "wrangler.json"
DEV_VARS = ".dev.vars"
CONFIG_FILES = (*FILES, DEV_VARS)
# What JSON does not have: comments, then trailing commas. Strings are matched too, to be passed over. What has no end
# goes on to that of the file: if it were no match, each begin of another would be looked at just as far.
_STRING = r'"(?:\\.|[^"\\])*+"?'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_LAST_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")

Config = Mapping[str, Any]


def read_config(folder: Path) -> Config:
    """Return what the wrangler file of a folder says; empty if there is none. Raises ScriptError."""
    for name in FILES:
        file = folder / name
        if file.exists():
            return _read(file.read_bytes(), file)
    return {}


def parsed(text: bytes, name: str) -> Config:
    """Return what a wrangler file of this name says: nothing, if it is one that nobody could read, nor had to.

    Nor is anything told of one that says what no answer can: half of a surrogate pair, or too many levels.
    """
    try:
        config = _read(text, Path(name))
        msgspec.json.encode(config)
    except (ScriptError, UnicodeEncodeError, RecursionError):
        return {}
    return config


def names(config: Config) -> dict[str, str]:
    """Return the workflow names that a wrangler file gives, by class name."""
    return {entry["class_name"]: entry["name"] for entry in _workflows(config) if "class_name" in entry}


def default_name(class_name: str) -> str:
    """Return the name of a workflow that no wrangler file names: `OrderWorkflow` is `order-workflow`."""
    return "-".join(word.lower() for word in _WORD.findall(class_name)) or "workflow"


def step_limits(config: Config, file: str, most: int) -> dict[str, int]:
    """Return the limits of steps that a wrangler file gives, by workflow name: no more than `most`.

    `file` is what to call it in errors. Raises ScriptError.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    given = {entry["name"]: entry["limits"]["steps"] for entry in _workflows(config) if _has_step_limit(entry)}
    for name, steps in given.items():
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= most:
            expected = f"an integer from 1 to {most:,}"
            raise ScriptError(f'{file}: limits.steps of the workflow "{name}" must be {expected}, got {steps!r:.100}')
    return given


def concurrency(config: Config, file: str) -> dict[str, int]:
    """Return how many instances may run at a time, as a wrangler file says, by workflow name.

    `file` is what to call it in errors. Raises ScriptError.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    given = {entry["name"]: entry["concurrency"] for entry in _workflows(config) if "concurrency" in entry}
    for name, said in given.items():
        limit = said.get("limit") if isinstance(said, dict) else None
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_CONCURRENCY:
            expected = f"an integer from 1 to {MOST_CONCURRENCY:,}"
            raise ScriptError(
                f'{file}: concurrency.limit of the workflow "{name}" must be {expected}, got {limit!r:.100}'
            )
    return {name: said["limit"] for name, said in given.items()}


def schedules(config: Config, file: str) -> dict[str, tuple[str, ...]]:
    """Return the cron expressions that a wrangler file gives, by workflow name; one that gives none is left out.

    `file` is what to call it in errors. Raises ScriptError.

    Source: developers.cloudflare.com/workflows/build/trigger-workflows/
    """
    given = {entry["name"]: entry for entry in _workflows(config) if "schedules" in entry}
    found = {}
    for name, entry in given.items():
        key = f'{file}: `schedules` of the workflow "{name}"'
        if "script_name" in entry:
            raise ScriptError(
                f"{key}: the workflow is that of another script (`script_name`), whose file has to say it"
            )
        try:
            found[name] = cron.check_all(entry["schedules"])
        except InvalidInput as error:
            raise ScriptError(f"{key}: {error}") from error
    return found


def bindings(config: Config) -> dict[str, str]:
    """Return the workflow names behind the bindings of a wrangler file, by binding."""
    return {entry["binding"]: entry["name"] for entry in _workflows(config) if "binding" in entry}


def variables(config: Config, folder: Path) -> dict[str, Any]:
    """Return the variables of a wrangler file, and those of `.dev.vars`, which win.

    Source: developers.cloudflare.com/workers/configuration/environment-variables/
    """
    return {**(config.get("vars") or {}), **_dev_vars(folder / DEV_VARS)}


def _dev_vars(file: Path) -> dict[str, Any]:
    try:
        file.stat()
    except OSError:
        return {}
    # Imported here: most projects have no such file.
    import dotenv  # noqa: PLC0415 - see above

    return dict(dotenv.dotenv_values(file, interpolate=False))


def main(config: Config, folder: Path) -> Path | None:
    """Return the Python file that a wrangler file of this folder names as the source, if it names one."""
    named = config.get("main")
    return (folder / named).resolve() if isinstance(named, str) and named.endswith(".py") else None


def script_name(config: Config, file: Path) -> str:
    """Return the name of the script that a file is."""
    return str(config.get("name") or file.stem)


def _workflows(config: Config) -> list[Any]:
    return [entry for entry in config.get("workflows") or [] if "name" in entry]


def _has_step_limit(entry: Any) -> bool:
    return isinstance(entry.get("limits"), dict) and "steps" in entry["limits"]


def _checked(config: object, file: Path) -> Config:
    """Return a config whose parts have the shapes that are relied on. Raises ScriptError."""
    if not isinstance(config, dict):
        raise ScriptError(f"{file} cannot be read: it has to be a JSON object")
    entries = config.get("workflows") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ScriptError(f"{file}: `workflows` has to be a list of tables: [[workflows]] in TOML")
    for entry in entries:
        for key in ("name", "class_name", "binding"):
            if not isinstance(entry.get(key, ""), str):
                raise ScriptError(f"{file}: `{key}` of a workflow has to be a text, got {entry[key]!r:.100}")
    if not isinstance(config.get("vars") or {}, dict):
        raise ScriptError(f"{file}: `vars` has to be a table of names and values")
    if not str(config.get("main") or "").isprintable():
        raise ScriptError(f"{file}: `main` has to be the path of a file, got {config['main']!r:.100}")
    # Who asks for a version of the code is told it. Half of a surrogate pair is no text.
    msgspec.json.encode(config)
    return config


def _read(content: bytes, file: Path) -> Config:
    try:
        return _checked(_parse(content, file.name), file)
    except RecursionError:
        raise ScriptError(f"{file} cannot be read: it is nested too deeply") from None
    except ValueError as error:
        raise ScriptError(f"{file} cannot be read: {error}") from error


def _parse(read: bytes, name: str) -> object:
    text = read.decode("utf-8-sig").replace("\r\n", "\n")
    if name.endswith(".toml"):
        # Imported here: most projects have no such file.
        import tomllib  # noqa: PLC0415 - see above

        return tomllib.loads(text)
    for unwanted in (_COMMENT, _LAST_COMMA):
        text = unwanted.sub(_kept, text)
    return json.loads(text)


def _kept(found: re.Match[str]) -> str:
    """Return what stays of what was matched: a string, and a comment without an end, which is a fault."""
    text = found[0]
    is_open = text.startswith("/*") and not text.endswith("*/")
    return text if text.startswith('"') or is_open else ""
