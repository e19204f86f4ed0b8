"""`stepwell login`, `logout` and `whoami`: a token that is checked, kept in a profile, and told of."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from stepwell.cli import arguments
from stepwell.cli.failures import FAILED, Failure
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.profiles import Profile, Profiles
from stepwell.cli.terminal import say
from stepwell.cli.where import Said, is_loopback, settle
from stepwell.client import Client, Result
from stepwell.errors import RequestRefused

_DEFAULT_PROFILE = "default"
_ENVIRONMENT_WINS = "STEPWELL_TOKEN is set, and is sent before any profile's; `unset STEPWELL_TOKEN` ends that"

_WHOAMI = (
    Column("name", lambda one: one["name"]),
    Column("value", lambda one: one["value"]),
    Column("from", lambda one: one["from"]),
)


def login(url: str | None, account: str | None, profile: str | None) -> int:
    """Ask for what is not given, check it against the server, and keep it in a profile; return the exit code."""
    profiles, said = Profiles.load(), os.environ.get
    name = profile or said("STEPWELL_PROFILE") or profiles.current or _DEFAULT_PROFILE
    known = profiles.by_name.get(name, Profile())
    server = url or said("STEPWELL_URL") or _asked("Server", known.url)
    whose = account or said("STEPWELL_ACCOUNT") or _asked("Account", known.account)
    if server.startswith("http:") and not is_loopback(server):
        say(f"warning: {server} is not encrypted: whoever is on the way sees the token; https:// is")
    token = arguments.secret("Token (none: empty)") or None
    client = Client(server, whose, token)
    caller = _caller(client)
    profiles.by_name[name] = Profile(server, whose, token)
    profiles.current = name
    profiles.save()
    say(f"{server} takes {_in_words(caller, token)} for the account {whose}")
    say(f"the profile {name} has that, and is in use from now on")
    if os.environ.get("STEPWELL_TOKEN"):
        say(_ENVIRONMENT_WINS)
    return 0


def logout(profile: str | None) -> int:
    """Forget the token of a profile; return the exit code."""
    profiles = Profiles.load()
    name = profile or os.environ.get("STEPWELL_PROFILE") or profiles.current
    chosen = profiles.chosen(name)
    if name is None or chosen.token is None:
        say("there is no token to forget" if name is None else f"the profile {name} has no token to forget")
    else:
        profiles.by_name[name] = replace(chosen, token=None)
        profiles.save()
        say(f"the profile {name} has no token any more; `stepwell token revoke` lets one be good for nothing")
    if os.environ.get("STEPWELL_TOKEN"):
        say(_ENVIRONMENT_WINS)
    return 0


def whoami(where: Mapping[str, Any], out: Output) -> int:
    """Print whom a command would ask, as whom, and what the server says of that; return the exit code."""
    settled = settle(**where)
    client = settled.client()
    caller = _caller(client)
    token = caller.get("token") or {}
    if not out.is_text:
        profile = settled.profile.value
        out.show_one({"url": client.url, "profile": profile, "account": client.account, **caller}, (), client.account)
        return 0
    version = caller.get("version")
    rows = {
        "server": Said(client.url, settled.url.origin),
        "release": Said(f"Stepwell {version}" if version else "not told", "server"),
        "account": settled.account,
        "token": Said(_in_words(caller, client.token), settled.token.origin if client.token else "server"),
        "permissions": Said(", ".join(map(str, caller.get("permissions") or ())) or "not told", "server"),
        "good until": Said(_until(caller, token), "server"),
    }
    out.show_all([{"name": name, "value": str(one.value), "from": one.origin} for name, one in rows.items()], _WHOAMI)
    return 0


def _caller(client: Client) -> Item:
    """Return what a server says of its caller: all of it, or that the token is good. Raises RequestRefused."""
    try:
        return client.whoami()
    except RequestRefused:
        # Not Stepwell's, or no token of its; Cloudflare's way says which.
        verified = _verified(client)
    if verified.get("status") not in (None, "active"):
        raise Failure(
            f"the token is {verified['status']}", FAILED, "make another where this one was made, and log in with that"
        )
    next(client.workflows(), None)
    expires_on = verified.get("expires_on")
    return {"token": {"id": verified.get("id", ""), "name": "", "expires_on": expires_on}, "permissions": None}


def _verified(client: Client) -> Result:
    """Return what Cloudflare says of a token of a user, or of an account. Raises RequestRefused if it is neither."""
    try:
        return client.verify_token()
    except RequestRefused as refusal:
        try:
            return client.verify_token_of_account()
        except RequestRefused:
            raise refusal from None


def _in_words(caller: Item, sent: str | None) -> str:
    token = caller.get("token")
    if not token:
        return "any token, or none" if sent else "requests without a token"
    name = f" ({token['name']})" if token.get("name") else ""
    return f"the token {token['id']}{name}"


def _until(caller: Item, token: Item) -> str:
    if token.get("expires_on"):
        return str(token["expires_on"])
    return "for ever" if caller.get("version") or token else "not told"


def _asked(what: str, default: str) -> str:
    """Return what is typed; where nobody is asked, the default."""
    return str(click.prompt(what, default, err=True)) if sys.stdin.isatty() else default
