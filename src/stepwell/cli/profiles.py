"""Profiles: servers that commands know by name, in a file that only its owner can read.

What of them a command uses is told by `where.py`.
"""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stepwell.addresses import LOCAL
from stepwell.cli.failures import FAILED, USAGE, Failure

if TYPE_CHECKING:
    from stepwell.client import Client

DEFAULT_ACCOUNT = "local"


@dataclass(frozen=True, slots=True)
class Profile:
    """A server, and as whom to speak to it."""

    url: str = LOCAL
    account: str = DEFAULT_ACCOUNT
    token: str | None = None


class _File(msgspec.Struct):
    """The file as it is written."""

    profiles: dict[str, Profile] = {}
    current: str | None = None


@dataclass(slots=True)
class Profiles:
    """All profiles by name, and which one is used where none is named."""

    by_name: dict[str, Profile]
    current: str | None = None

    @classmethod
    def load(cls) -> "Profiles":
        """Read the file; without one there is no profile. Raises Failure for one that cannot be read."""
        path = _path()
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            file = msgspec.convert(content, _File)
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError) as error:
            raise Failure(
                f"{path} cannot be read: {error}", FAILED, "mend it, or move it away and set profiles anew"
            ) from error
        return cls(file.profiles, file.current)

    def save(self) -> None:
        """Write the file, for its owner alone. Raises Failure if it cannot be written."""
        path = _path()
        new = path.with_suffix(".new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(_toml(self))
            new.replace(path)
        except (OSError, UnicodeEncodeError) as error:
            hint = "XDG_CONFIG_HOME says where the folder of settings is"
            raise Failure(f"{path} cannot be written: {error}", FAILED, hint) from error

    def chosen(self, name: str | None) -> Profile:
        """Return the profile of a name, or the one in use. Raises Failure if there is none of the name."""
        wanted = name or self.current
        if wanted is None:
            return Profile()
        if wanted not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise Failure(
                f"no profile {wanted!r:.100}; there is: {known}",
                USAGE,
                "`stepwell login` and `stepwell profile set` make one",
            )
        return self.by_name[wanted]


def connect(url: str | None, account: str | None, profile: str | None) -> "Client":
    """Return a client by options, environment, project, profile and defaults."""
    from stepwell.cli.where import settle

    return settle(url, account, profile).client()


def _path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "stepwell" / "profiles.toml"


def _toml(profiles: Profiles) -> str:
    lines = [] if profiles.current is None else [f"current = {_quoted(profiles.current)}", ""]
    for name, profile in sorted(profiles.by_name.items()):
        lines.append(f"[profiles.{_quoted(name)}]")
        said: dict[str, Any] = {"url": profile.url, "account": profile.account, "token": profile.token}
        lines += [f"{key} = {_quoted(value)}" for key, value in said.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a text as TOML has it: as JSON, but without surrogates, and with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
