"""`stepwell settings`: what a server of a project would be told, and by what."""

import os
from collections.abc import Sequence
from pathlib import Path

from stepwell.cli import output
from stepwell.project import Project
from stepwell.server_settings import DEFAULT_SETTINGS, SETTINGS, Kind, Told, tell, value_of


def show(path: str, given: Sequence[str], *, as_json: bool) -> int:
    """Print every setting with its value and where it came from; return the exit code.

    Raises ScriptError or InvalidSetting.
    """
    told = tell(given, os.environ, Project.at(Path(path)).root)
    if as_json:
        output.as_json(_described(told))
    else:
        output.table(["name", "value", "exact", "from", "meaning"], _rows(told))
    return 0


def _rows(told: Told) -> list[list[str]]:
    return [
        [
            name,
            setting.in_words(value_of(told.settings, name)),
            setting.exact(value_of(told.settings, name)),
            told.origins[name],
            setting.meaning,
        ]
        for name, setting in SETTINGS.items()
    ]


def _described(told: Told) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "value": value_of(told.settings, name),
            "unit": setting.kind.value if setting.kind in (Kind.SIZE, Kind.DURATION) else None,
            "shown": setting.in_words(value_of(told.settings, name)),
            "from": told.origins[name],
            "default": value_of(DEFAULT_SETTINGS, name),
            "meaning": setting.meaning,
            "source": setting.source,
        }
        for name, setting in SETTINGS.items()
    ]
