"""`stepwell profile`: make, list and choose profiles."""

import sys
from dataclasses import replace

import click

from stepwell.cli.output import Column, Output
from stepwell.cli.profiles import Profile, Profiles

_COLUMNS = (
    Column("", lambda profile: "*" if profile["is_current"] else " "),
    Column("name", lambda profile: profile["name"]),
    Column("url", lambda profile: profile["url"]),
    Column("account", lambda profile: profile["account"], rank=1),
    Column("token", lambda profile: "token" if profile["has_token"] else "no token", rank=2),
)


def change(name: str, url: str | None, account: str | None, *, asks_token: bool) -> int:
    """Make or change a profile; the first one is in use at once. Return the exit code."""
    profiles = Profiles.load()
    profile = profiles.by_name.get(name, Profile())
    profile = replace(profile, url=url or profile.url, account=account or profile.account)
    if asks_token:
        profile = replace(profile, token=_token())
    profiles.by_name[name] = profile
    profiles.current = profiles.current or name
    profiles.save()
    return 0


def show(out: Output) -> int:
    """Print all profiles, without their tokens; return the exit code."""
    profiles = Profiles.load()
    described = [
        {
            "name": name,
            "url": profile.url,
            "account": profile.account,
            "has_token": bool(profile.token),
            "is_current": name == profiles.current,
        }
        for name, profile in sorted(profiles.by_name.items())
    ]
    if not out.show_all(described, _COLUMNS, id="name") and out.is_text:
        click.echo("There is no profile yet; `stepwell profile set` makes one", err=True)
    return 0


def use(name: str) -> int:
    """Let a profile be the one in use; return the exit code."""
    profiles = Profiles.load()
    profiles.chosen(name)
    profiles.current = name
    profiles.save()
    return 0


def _token() -> str:
    """Return the token that is typed unseen, or comes from a pipe: never an argument, which others could see."""
    given = click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    return str(given).strip()
