"""Which request of the machine asks each public method of the engine, and where those are tested that none does."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import get_type_hints

from stepwell import reasons, schedules, searches
from stepwell.children import Children
from stepwell.engine import Engine
from stepwell.forks import Forks
from stepwell.moves import Moves
from stepwell.subscriptions import Subscription
from stepwell.tokens import Tokens

# What is asked beside the engine, of the same store.
BESIDE: tuple[type | ModuleType, ...] = (Children, Forks, Moves, Subscription, Tokens, reasons, schedules, searches)

# By their methods, the requests by which they are asked; what one of these does inside is held by its answer.
ASKED: dict[str, str] = {
    "Engine.account_settings": "retain",
    "Engine.change_account_settings": "retain",
    "Engine.check": "create",
    "Engine.count_creations": "create",
    "Engine.create": "create",
    "Engine.create_batch": "create_batch",
    "Engine.create_checked": "create",
    "Engine.delete_triggers": "delete_triggers",
    "Engine.delete_workflow": "delete_workflow",
    "Engine.forget": "put_workflow",
    "Engine.get": "get",
    "Engine.get_if_changed": "get_if_changed",
    "Engine.limit_account": "limit_account",
    "Engine.limits": "limits",
    "Engine.list": "list",
    "Engine.log": "log",
    "Engine.merge_triggers": "merge_triggers",
    "Engine.payload": "get",
    "Engine.pieces": "step",
    "Engine.put_workflow": "put_workflow",
    "Engine.replace_triggers": "replace_triggers",
    "Engine.send_event": "send",
    "Engine.share_limit": "share_limit",
    "Engine.step": "step",
    "Engine.triggers": "replace_triggers",
    "Engine.version": "version",
    "Engine.versions": "versions",
    "Engine.view": "get",
    "Engine.workflow": "workflow",
    "Engine.workflows": "workflow",
    "Children.awaits": "family",
    "Children.family": "family",
    "Children.relatives": "family",
    "Children.start": "family",
    "Control.delete": "delete",
    "Control.pause": "pause",
    "Control.restart": "restart",
    "Control.resume": "resume",
    "Control.resume_rollback": "resume_rollback",
    "Control.terminate": "undo",
    "Forcing.decisions": "decisions",
    "Forcing.force": "force",
    "Forks.fork": "fork",
    "Jobs.cancel": "cancel_job",
    "Jobs.get": "get_job",
    "Jobs.list": "get_job",
    "Jobs.start": "start_job",
    "Moves.move": "move",
    "Subscription.close": "subscribe",
    "Subscription.next": "subscribe",
    "Subscriptions.open": "subscribe",
    "Terminations.is_running": "is_terminating",
    "Terminations.start": "terminate_all",
    "Tokens.authenticate": "authenticate",
    "Tokens.create": "create_token",
    "Tokens.list": "list_tokens",
    "Tokens.revoke": "revoke",
    "reasons.explain": "why",
    "schedules.change": "change_schedule",
    "schedules.get": "schedule",
    "schedules.page": "schedules",
    "schedules.run_now": "run_schedule",
    "searches.search": "search",
}
# Those that are not asked here: the test that asks them, and why.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "Engine.hosts": ("tests/store/test_hosts.py", "who has a store open is of the server, and never the same of two"),
    "Jobs.resume": ("tests/engine/test_jobs.py", "a server before has to have ended in the middle of a page"),
    "Jobs.stop": ("tests/engine/test_jobs.py", "as above"),
    "Samples.of": ("tests/api/test_live.py", "in memory alone, and gone with the server"),
    "Samples.run": ("tests/crash/server.py", "as above: what every server does for as long as it runs"),
    "Samples.take": ("tests/api/test_live.py", "as above"),
    "Terminations.resume": ("tests/api/test_control.py", "a server before has to have ended between two bits"),
    "Terminations.stop": ("tests/store/test_postgres_leftovers.py", "as above"),
    "Tokens.caller_of": ("tests/engine/test_tokens.py", "what sessions of browsers ask, of which there are none here"),
    "Tokens.is_good": ("tests/api/test_streams.py", "asked about streams that are open, of which there are none here"),
    "Webhooks.get": (
        "tests/webhooks/test_sender.py",
        "ids are drawn anew; tests/store/test_difference.py compares stores",
    ),
    **{
        f"Webhooks.{method}": ("tests/cli/test_webhooks.py", "as above")
        for method in ("change", "create", "delete", "deliveries", "list", "redeliver", "rotate", "test")
    },
    "reasons.instance_why": ("tests/api/test_why.py", "only words for what `explain` has told"),
}


def doors() -> Iterator[str]:
    """Yield the names of all methods and functions by which anything is asked of an engine."""
    for owner in (Engine, *_parts(), *BESIDE):
        name = owner.__name__.rpartition(".")[2]
        for method, value in vars(owner).items():
            is_own = inspect.isfunction(value) and value.__module__ == getattr(owner, "__module__", owner.__name__)
            if is_own and not method.startswith("_"):
                yield f"{name}.{method}"


def _parts() -> Iterator[type]:
    """Yield the classes of what an engine is made of, but for those that it is given."""
    given = {"clock", "settings", "store"}
    fields = {name: hint for name, hint in get_type_hints(Engine).items() if name not in given}
    properties = {
        name: get_type_hints(value.fget)["return"]
        for name, value in vars(Engine).items()
        if isinstance(value, property)
    }
    for name, part in {**fields, **properties}.items():
        if not name.startswith("_"):
            yield part
