"""What a shell offers where a value is to be typed: names and ids that the server has that the command would ask.

Nothing here may disturb who types. No answer within 300 ms, no server, no access, a broken file: nothing is offered
then, and nothing is said. What a server answers is kept for 10 seconds, for its owner alone.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepwell.cli.terminal import clean

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from stepwell.client import Client

# A value, and what is said beside it.
Offer = tuple[str, str]

_LIMIT_S = 0.3
_FACTS = 500
_INSTANCES = 50
_JOBS = 50
_VERSIONS = 50
_WORKFLOWS = 1_000


def workflows(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of the workflows that there are."""

    def ask(client: "Client") -> Iterable[Offer]:
        return [(str(one["name"]), "") for one in itertools.islice(client.workflows(), _WORKFLOWS)]

    return _from_server(ctx, param, incomplete, ask, "workflows")


def instances(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the ids of the newest instances of the workflow that is named, and `latest`."""
    workflow = _given(ctx).get("workflow")
    if not workflow:
        return []

    def ask(client: "Client") -> Iterable[Offer]:
        newest = itertools.islice(client.instances(workflow, per_page=str(_INSTANCES)), _INSTANCES)
        return [("latest", "the newest one"), *((str(one["id"]), str(one["status"])) for one in newest)]

    return _from_server(ctx, param, incomplete, ask, "instances", workflow)


def versions(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the ids of the newest versions of the workflow that is named, and when each was made."""
    workflow = _given(ctx).get("workflow")
    if not workflow:
        return []

    def ask(client: "Client") -> Iterable[Offer]:
        newest = itertools.islice(client.versions(workflow), _VERSIONS)
        return [(str(one["id"]), str(one["created_on"])) for one in newest]

    return _from_server(ctx, param, incomplete, ask, "versions", workflow)


def logged_steps(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of the steps of the instance that is named, as its log has them: with their counts."""
    return _from_server(ctx, param, incomplete, *_steps(ctx))


def steps(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of the steps of the instance that is named, as the code has them."""
    ask, *what = _steps(ctx)

    def without_counts(client: "Client") -> Iterable[Offer]:
        return [(name.rpartition("-")[0], type) for name, type in ask(client)]

    return _from_server(ctx, param, incomplete, without_counts, "of the code", *what)


def events(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of what has happened last, by the logs of the servers."""

    def ask(client: "Client") -> Iterable[Offer]:
        latest = itertools.islice(client.facts({"per_page": str(_FACTS)}), _FACTS)
        # Beside each what was said of it last, which comes first.
        return sorted({str(fact["event"]): str(fact["message"]) for fact in reversed([*latest])}.items())

    return _from_server(ctx, param, incomplete, ask, "events")


def jobs(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the ids of the newest jobs."""

    def ask(client: "Client") -> Iterable[Offer]:
        newest = itertools.islice(client.jobs(), _JOBS)
        return [(str(job["id"]), f"{job['action']} {job['workflow_name'] or 'all'}: {job['status']}") for job in newest]

    return _from_server(ctx, param, incomplete, ask, "jobs")


def webhooks(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the ids of the webhooks."""

    def ask(client: "Client") -> Iterable[Offer]:
        return [(str(webhook["id"]), str(webhook["url"])) for webhook in client.webhooks()]

    return _from_server(ctx, param, incomplete, ask, "webhooks")


def schedules(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the cron expressions of the workflow that is named."""
    workflow = _given(ctx).get("workflow")

    def ask(client: "Client") -> Iterable[Offer]:
        return [(str(one["cron"]), str(one["description"])) for one in client.schedules(workflow)]

    return _from_server(ctx, param, incomplete, ask, "schedules", workflow or "")


def statuses(_ctx: "click.Context", _param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer what the status of an instance can be, behind those that are there with commas between them."""
    from stepwell.core.instance import Status

    before = incomplete[: incomplete.rfind(",") + 1]
    there = before.split(",")
    return _offered([(f"{before}{status}", "") for status in Status if status not in there], incomplete, ())


def files(_ctx: "click.Context", _param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Let the shell offer its files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def folders(_ctx: "click.Context", _param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Let the shell offer its folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def workflows_and_files(ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of the workflows that there are, and let the shell offer its files."""
    return [*workflows(ctx, param, incomplete), *files(ctx, param, incomplete)]


def profiles(_ctx: "click.Context", _param: "click.Parameter", incomplete: str) -> "list[CompletionItem[str]]":
    """Offer the names of the profiles."""
    from stepwell.cli.profiles import Profiles

    return _quietly(
        lambda: _offered([(name, one.url) for name, one in Profiles.load().by_name.items()], incomplete, ())
    )


def _steps(ctx: "click.Context") -> tuple[Any, ...]:
    """Return what asks for the steps of an instance, and what names that."""
    given = _given(ctx)
    workflow = str(given.get("workflow") or "")
    ids = given.get("ids") or (given.get("id"),)
    id = str(ids[0] or "")

    def ask(client: "Client") -> Iterable[Offer]:
        from stepwell.cli.targets import named

        found = client.instance(workflow, named(client, workflow, id))
        return [(str(step["name"]), str(step["type"])) for step in found.get("steps") or [] if "name" in step]

    return ask, "steps", workflow, id


def _given(ctx: "click.Context") -> Mapping[str, Any]:
    """Return what the command has been given.

    Where the value of an option is typed, click has read nothing, as the option lacks it: all before that is read anew.
    """
    typed = ctx.obj if isinstance(ctx.obj, list) else []
    is_value = bool(typed) and typed[-1].startswith("-")
    if not is_value or ctx.parent is None:
        return ctx.params
    before = typed[len(ctx.command_path.split()) - 1 : -1]
    return ctx.command.make_context(ctx.info_name, before, ctx.parent, resilient_parsing=True).params


def _from_server(
    ctx: "click.Context",
    param: "click.Parameter",
    incomplete: str,
    ask: "Callable[[Client], Iterable[Offer]]",
    *what: str,
) -> "list[CompletionItem[str]]":
    from stepwell.cli import completion_cache, profiles

    def look() -> "list[CompletionItem[str]]":
        said = _given(ctx)
        client = profiles.connect(*(said.get(name) for name in ("url", "account", "profile")))
        key = (client.url, client.account, client.token or "", *what)
        found = completion_cache.load(key)
        if found is None:
            found = _in_time(lambda: list(ask(client)))
            completion_cache.save(key, found)
        given = said.get(param.name or "")
        return _offered(found, incomplete, given if isinstance(given, tuple) else ())

    return _quietly(look)


def _in_time(ask: Callable[[], list[Offer]]) -> list[Offer]:
    """Return what an answer says that is there soon. Raises TimeoutError, and as `ask` does."""
    import threading

    # A thread, as neither the look-up of a name nor a server that sends a byte now and then keeps to the time-out of a
    # connection. It ends with the process, which is about to end.
    answers: list[list[Offer] | Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # whatever it is, it is raised where the answer is waited for
            answers.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_LIMIT_S)
    if not answers:
        raise TimeoutError
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _quietly(look: "Callable[[], list[CompletionItem[str]]]") -> "list[CompletionItem[str]]":
    try:
        return look()
    except Exception:  # whatever is wrong, who types is not to be disturbed by it
        return []


def _offered(found: Sequence[Offer], incomplete: str, given: Sequence[str]) -> "list[CompletionItem[str]]":
    """Return what begins as typed and is not there yet, each once, and only what is safe in any shell."""
    from click.shell_completion import CompletionItem

    offers = {value: about for value, about in reversed(found) if _is_safe(value)}
    return [
        CompletionItem(value, help=clean(about) or None)
        for value, about in reversed(offers.items())
        if value.startswith(incomplete) and value not in given
    ]


def _is_safe(value: str) -> bool:
    """Tell whether a value can be offered: a line of text that is no option, and nothing that a terminal would obey."""
    return bool(value) and clean(value) == value and "\\" not in value and not value.startswith("-")
