"""`stepwell profile`: make, list and choose profiles."""

import sys
from dataclasses import replace

import click

from stepwell.cli import output
from stepwell.cli.profiles import Profile, Profiles


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


def show() -> int:
    """Print all profiles, without their tokens; return the exit code."""
    profiles = Profiles.load()
    rows = [
        [
            "*" if name == profiles.current else " ",
            name,
            profile.url,
            profile.account,
            "token" if profile.token else "no token",
        ]
        for name, profile in sorted(profiles.by_name.items())
    ]
    output.table(["", "name", "url", "account", "token"], rows)
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
