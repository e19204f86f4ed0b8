"""`stepwell deploy`, `rollback` and `deployments`: which code a server that runs serves."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Command, Commands

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command(cls=Command)
@click.argument("path", default=".", shell_complete=completing.files)
@click.option("--to", metavar="URL", help="The server, as --url.")
@click.option("--name", metavar="SCRIPT", help="Of the script, where no wrangler file names it.  [default: its file]")
@click.option("--dry-run", "is_for_show", is_flag=True, help="List the files, and do nothing.")
@click.option("--check", "checks", is_flag=True, help="Only if no instance would break on it: `stepwell check --to`.")
@options.shown
@options.remote
def deploy(  # noqa: PLR0913 - one for each option
    path: str, to: str | None, name: str | None, *, is_for_show: bool, checks: bool, out: "Output", **where: Any
) -> None:
    """Upload the code at PATH to a server that runs, which serves it from then on.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`. All files of that
    folder go with it, but hidden ones, databases and logs. The server has to run with --allow-deploy, and the token
    needs the scope `deploy`. Code that cannot be loaded, or has a workflow of another script's, changes nothing.
    Instances that are running stay on the code that they began with.
    """
    from stepwell.cli import deploying, profiles, rehearsing

    if to is not None:
        where["url"] = to
    client, code = profiles.connect(**where), deploying.Uploading.of(path, name)
    if checks and not is_for_show:
        rehearsing.insist(client, code)
    raise SystemExit(deploying.deploy(client, code, out, is_for_show=is_for_show))


@click.command(cls=Command)
@click.argument("snapshot", type=click.IntRange(1), required=False)
@click.option("--script", metavar="NAME", help="Which script.  [default: the one that was deployed last]")
@options.shown
@options.remote
def rollback(snapshot: int | None, script: str | None, out: "Output", **where: Any) -> None:
    """Serve code again that was served before: SNAPSHOT, a number of `deployments list`; else the last but one.

    That is of one script: all others stay as they are.
    """
    from stepwell.cli import deploying, profiles

    raise SystemExit(deploying.roll_back(profiles.connect(**where), snapshot, script, out))


@click.group("deployments", cls=Commands)
def deployments_group() -> None:
    """Show which code was served."""


@deployments_group.command("list")
@click.option("--script", metavar="NAME", help="Of this script alone.")
@options.shown
@options.remote
def deployments_list(script: str | None, out: "Output", **where: Any) -> None:
    """List the code that was served, the last first: up to 100."""
    from stepwell.cli import deploying, profiles

    raise SystemExit(deploying.show(profiles.connect(**where), script, out))


@click.command(cls=Command)
@click.argument("path", default=".", shell_complete=completing.files)
@click.option("--store", metavar="URL", help="Hold it against the instances of a store, which may be in use.")
@click.option("--to", metavar="URL", help="Hold it against the instances of a server, as --url.")
@click.option(
    "--workflow",
    metavar="NAME",
    shell_complete=completing.workflows,
    help="With --store or --to: against those of this workflow.",
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME", help="With --store: an environment variable. Repeatable."
)
@click.option("--strict", is_flag=True, help="With --store or --to: exit with 1, too, where it cannot be foretold.")
@click.option(
    "-o", "form", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True, help="Form."
)
@options.CONFIG
@options.remote
def check(  # noqa: PLR0913 - one for each option
    path: str,
    store: str | None,
    to: str | None,
    workflow: str | None,
    variables: tuple[str, ...],
    *,
    strict: bool,
    form: Any,
    config: str | None,
    **where: Any,
) -> None:
    """Look for mistakes in the workflows of PATH, or for instances that would break on them.

    PATH is a Python file, or a folder with Python files beneath it. Alone it is read, and nothing of it is run. A line
    with `# stepwell: ignore[rule]` is passed over. Exits with 1 if something is found.

    With --store or --to each instance there that has not ended is replayed on this code, without running a step or
    writing anything: which would go on, which would run a step anew where its history has another, which value could
    not be read any more, and where in the source. Exits with 1 if one would break. --to sends the code to a server
    that was started with --allow-deploy, and needs a token with the scope `deploy`.
    """
    if store is not None and to is not None:
        raise click.UsageError("--store and --to are two places; give one of them")
    if store is None and to is None:
        if workflow is not None or variables or strict:
            raise click.UsageError("--workflow, --env and --strict go with --store or --to")
        from stepwell.cli.check import report

        raise SystemExit(report(path, config, form))
    from stepwell.cli import deploying, profiles, rehearsing

    if store is not None:
        account = where["account"] or "local"
        found = rehearsing.check_store(path, config, store, account, (workflow, variables))
    else:
        client = profiles.connect(**{**where, "url": to})
        found = rehearsing.check_server(client, deploying.Uploading.of(path, None), workflow)
    raise SystemExit(rehearsing.report(found, form, is_strict=strict))
