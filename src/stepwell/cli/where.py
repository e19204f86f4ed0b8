"""Which server a command asks, for which account and with which token, and what says so.

In this order: its options, the environment, the table [client] of the file stepwell.toml in the current folder, the
profile, the defaults. A profile's token goes to the profile's own server alone; and that of the environment to none
that only a project's file names, as that may be somebody else's.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from stepwell.addresses import LOCAL
from stepwell.cli.failures import USAGE, Failure
from stepwell.cli.profiles import Profile, Profiles
from stepwell.cli.terminal import say
from stepwell.client import Client

_FILE = "stepwell.toml"
_TOKEN = "STEPWELL_TOKEN"  # noqa: S105  # the name of a variable


@dataclass(frozen=True, slots=True)
class Said:
    """A value, and what says it: an option, a variable, a file, a profile or `default`. None: nothing does."""

    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Where:
    """A server, as whom it is asked, and the name of the profile if there is one."""

    url: Said
    account: Said
    token: Said
    profile: Said

    def client(self) -> Client:
        """Return a client of the server."""
        ctx = click.get_current_context(silent=True)
        told = _tell if ctx is not None and ctx.meta.get("stepwell.debug") else None
        return Client(self.url.value or "", self.account.value or "", self.token.value, told=told)


class _Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a project's file says of whom to ask."""

    url: str | None = None
    account: str | None = None
    profile: str | None = None


class _Project(msgspec.Struct):
    """The file of a project, of which only this is for commands."""

    client: _Named = _Named()


def settle(url: str | None, account: str | None, profile: str | None) -> Where:
    """Return what a command is to ask. Raises Failure."""
    file, profiles, said = _project(), Profiles.load(), os.environ.get
    name = _first(
        (profile, "--profile"),
        (said("STEPWELL_PROFILE"), "STEPWELL_PROFILE"),
        (file.profile, _FILE),
        (profiles.current, "`stepwell profile use`"),
    )
    chosen = profiles.chosen(name.value)
    by_profile = "default" if name.value is None else f"profile {name.value}"
    server = _first(
        (url, "--url"),
        (_local(), "--local"),
        (said("STEPWELL_URL"), "STEPWELL_URL"),
        (file.url, _FILE),
        (chosen.url, by_profile),
    )
    whose = _first(
        (account, "--account"),
        (said("STEPWELL_ACCOUNT"), "STEPWELL_ACCOUNT"),
        (file.account, _FILE),
        (chosen.account, by_profile),
    )
    return Where(server, whose, _token(server, chosen, by_profile, profiles), name)


def is_loopback(url: str) -> bool:
    """Tell whether an address is one of this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _local() -> str | None:
    """Return the address that wrangler's `--local` and `--port` mean, if they are given."""
    ctx = click.get_current_context(silent=True)
    if ctx is None or not ctx.meta.get("stepwell.local"):
        return None
    port = ctx.meta.get("stepwell.port")
    return LOCAL if port is None else f"http://127.0.0.1:{port}"


def _tell(line: str) -> None:
    say(line)


def _first(*sayings: tuple[str | None, str]) -> Said:
    """Return the first of some values that is one."""
    return next((Said(value, origin) for value, origin in sayings if value), Said(None, "default"))


def _token(server: Said, chosen: Profile, by_profile: str, profiles: Profiles) -> Said:
    given, url = os.environ.get(_TOKEN), server.value or ""
    if given and (server.origin != _FILE or is_loopback(url) or _is_known(url, profiles.by_name.values())):
        return Said(given, _TOKEN)
    if given:
        say(f"{_TOKEN} is not sent to {url}, which only {_FILE} names; --url {url} sends it")
    if chosen.token and url == chosen.url:
        return Said(chosen.token, by_profile)
    return Said(None, "default")


def _is_known(url: str, profiles: Iterable[Profile]) -> bool:
    return any(profile.url == url for profile in profiles)


def _project() -> _Named:
    try:
        content = tomllib.loads(Path(_FILE).read_text(encoding="utf-8"))
        return msgspec.convert(content, _Project).client
    except FileNotFoundError:
        return _Named()
    except (OSError, ValueError) as error:
        hint = "its table [client] may have url, account and profile"
        raise Failure(f"{Path(_FILE).absolute()} cannot be read: {error}", USAGE, hint) from error
