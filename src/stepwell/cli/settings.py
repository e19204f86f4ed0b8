"""`stepwell settings`: what a server of a project would be told, and by what."""

import os
from collections.abc import Sequence
from pathlib import Path

from stepwell.cli.output import Column, Item, Output
from stepwell.project import Project
from stepwell.server_settings import DEFAULT_SETTINGS, SETTINGS, Told, tell, value_of
from stepwell.setting_kinds import Kind

_COLUMNS = (
    Column("name", lambda setting: setting["name"]),
    # A pipe may hand it on, and nothing that is told settings takes separators.
    Column("value", lambda setting: setting["shown"], piped=lambda setting: setting["shown"].replace(",", "")),
    Column("exact", lambda setting: SETTINGS[setting["name"]].exact(setting["value"]), rank=3),
    Column("from", lambda setting: setting["from"], rank=1),
    Column("meaning", lambda setting: setting["meaning"], rank=2, is_prose=True),
)


def show(path: str, given: Sequence[str], config: str | None, out: Output) -> int:
    """Print every setting with its value and where it came from; return the exit code.

    Raises ScriptError or InvalidSetting.
    """
    told = tell(given, os.environ, Project.at(Path(path)).root, config)
    out.show_all(_described(told), _COLUMNS, id="name")
    return 0


def _described(told: Told) -> list[Item]:
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
