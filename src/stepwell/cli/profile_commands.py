"""`stepwell profile`: make, list and choose profiles, and say what a command would use."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stepwell.cli import arguments
from stepwell.cli.output import Column, Output
from stepwell.cli.profiles import Profile, Profiles
from stepwell.cli.terminal import say
from stepwell.cli.where import settle

_COLUMNS = (
    Column("", lambda profile: "*" if profile["is_current"] else " "),
    Column("name", lambda profile: profile["name"]),
    Column("url", lambda profile: profile["url"]),
    Column("account", lambda profile: profile["account"], rank=1),
    Column("token", lambda profile: "token" if profile["has_token"] else "no token", rank=2),
)

_USED = (
    Column("name", lambda one: one["name"]),
    Column("value", lambda one: one["value"] or "-"),
    Column("from", lambda one: one["from"]),
)


def change(name: str, url: str | None, account: str | None, *, asks_token: bool) -> int:
    """Make or change a profile; the first one is in use at once. Return the exit code."""
    profiles = Profiles.load()
    profile = profiles.by_name.get(name, Profile())
    profile = replace(profile, url=url or profile.url, account=account or profile.account)
    if asks_token:
        profile = replace(profile, token=arguments.secret("Token"))
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
        say("There is no profile yet; `stepwell login` and `stepwell profile set` make one")
    return 0


def use(name: str) -> int:
    """Let a profile be the one in use; return the exit code."""
    profiles = Profiles.load()
    profiles.chosen(name)
    profiles.current = name
    profiles.save()
    return 0


def show_used(where: Mapping[str, Any], out: Output) -> int:
    """Print which server a command would ask, as whom, and what says so; of a token that there is one. Return 0."""
    settled = settle(**where)
    used = {
        "url": settled.url,
        "account": settled.account,
        "token": replace(settled.token, value=settled.token.value and "set"),
        "profile": settled.profile,
    }
    items = [{"name": name, "value": said.value, "from": said.origin} for name, said in used.items()]
    out.show_all(items, _USED, id="name")
    return 0
