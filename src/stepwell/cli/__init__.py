"""The command line."""

from typing import TYPE_CHECKING, Any

import click

from stepwell import __version__
from stepwell.cli import completing, options, wrangler_spellings
from stepwell.cli.audit_group import audit_group
from stepwell.cli.deploy_commands import COMMANDS as DEPLOY_COMMANDS
from stepwell.cli.facts_group import facts_group
from stepwell.cli.failures import Commands
from stepwell.cli.hosts_group import hosts_group
from stepwell.cli.instances_group import instances_group
from stepwell.cli.instances_on_versions import COMMANDS as INSTANCE_COMMANDS
from stepwell.cli.jobs_group import jobs_group
from stepwell.cli.limits_group import limits_group
from stepwell.cli.schedules_group import schedules_group
from stepwell.cli.signing_in_commands import login, logout, whoami
from stepwell.cli.upkeep_commands import backup, doctor, init, migrate, reencrypt, restore, version
from stepwell.cli.webhooks_group import webhooks_group
from stepwell.cli.workflows_group import workflows_group

if TYPE_CHECKING:
    from stepwell.cli.output import Output

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stepwell", message="%(prog)s %(version)s")
def main() -> None:
    """Durable workflows in ordinary Python, with the Cloudflare Workflows API."""


main.add_command(audit_group)
main.add_command(facts_group)
main.add_command(hosts_group)
for more in INSTANCE_COMMANDS:
    instances_group.add_command(more)
main.add_command(instances_group)
main.add_command(jobs_group)
main.add_command(limits_group)
main.add_command(schedules_group)
main.add_command(webhooks_group)
main.add_command(workflows_group)
for command in (backup, doctor, init, migrate, reencrypt, restore, version, login, logout, whoami, *DEPLOY_COMMANDS):
    main.add_command(command)


@main.command()
@click.argument("workflow", metavar="[PATH|WORKFLOW]", default=".", shell_complete=completing.workflows_and_files)
@click.option("--workflow", "--class", "name", metavar="NAME", help="Of PATH: this workflow, by its name or its class.")
@options.drawn
@options.remote
def graph(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str,
    name: str | None,
    version: str | None,
    id: str | None,
    form: Any,
    file: str | None,
    theme: Any,
    **where: Any,
) -> None:
    """Draw the steps of a workflow: its branches, loops, waits and what goes on at the same time.

    PATH is a Python file, or a folder as of `stepwell dev`: its source is read, and none of it is run. WORKFLOW is one
    that a server has. What is there as a path is taken as one, unless an option asks for a server.
    """
    from stepwell.cli import graph_sources
    from stepwell.cli.graph import Wanted, draw

    asked = graph_sources.Asked(workflow, name, version, id)
    raise SystemExit(draw(graph_sources.find(asked, where), Wanted(form, file, theme)))


@main.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish", "powershell")))
def print_completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, and what the server has: names, ids, steps.

    In ~/.bashrc, or in ~/.zshrc behind compinit: eval "$(stepwell completion bash)", or zsh.

    For fish, once: stepwell completion fish > ~/.config/fish/completions/stepwell.fish

    In PowerShell's profile: stepwell completion powershell | Out-String | Invoke-Expression
    """
    from stepwell.cli import completion

    raise SystemExit(completion.show(shell))


@main.command()
@click.argument("path", default=".", shell_complete=completing.files)
@click.option(
    "--data",
    default=".stepwell",
    show_default=True,
    envvar="STEPWELL_DATA",
    shell_complete=completing.folders,
    help="Folder of the database.",
)
@click.option(
    "--watch/--no-watch", "watches", default=True, show_default=True, help="Reload code when one of its files changes."
)
@click.option("--open", "opens", is_flag=True, help="Show the dashboard in your browser, once the server is ready.")
@options.serving
def dev(path: str, data: str, **given: Any) -> None:
    """Serve the workflows of PATH on this machine.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`.

    Code is reloaded when a file changes, unless --no-watch is given. Everything is kept in the data folder; start again
    and it goes on where it was. Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a second Ctrl-C
    ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.dev import serve
    from stepwell.cli.server import ServerOptions

    raise SystemExit(serve(data, ServerOptions(path=path, store="", **given)))


@main.command()
@click.argument("path", required=False, shell_complete=completing.files)
@options.hosting
@click.option("--stored", is_flag=True, help="Serve what was served last, from the store alone: as without PATH.")
@click.option("--allow-deploy", "allows_deploy", is_flag=True, help="Take code that is uploaded: `stepwell deploy`.")
@options.serving
def serve(path: str | None, *, stored: bool, **given: Any) -> None:
    """Serve the workflows of PATH to others: each request needs a token.

    PATH is a Python file, a folder of them, or a folder whose wrangler file names one in `main`. The code is served as
    it is when the server starts: a snapshot of its folder is kept in the store, and instances that are running stay on
    the code that they began with. Without PATH, what was served or deployed last is served; with --allow-deploy there
    may be nothing yet. SIGTERM or Ctrl-C stops: steps in flight have 5 seconds to end (--set grace=...), a second one
    ends at once.
    """
    # Imported here: `stepwell --version` should not wait for a web server.
    from stepwell.cli.serve import serve as run
    from stepwell.cli.server import ServerOptions

    if stored and path is not None:
        raise click.UsageError("--stored serves what the store has, and PATH something else: leave one of them out")
    raise SystemExit(run(ServerOptions(path=path or "", is_stored=path is None, **given)))


@main.command()
@click.argument("path", required=False, shell_complete=completing.files)
@options.working
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /metrics and /healthz here, and nothing else; 0: any free port.  [default: nowhere]",
)
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="On which address.")
def worker(path: str | None, **given: Any) -> None:
    """Run the workflows of a PostgreSQL database, beside its servers and on any number of hosts. It has no API.

    Without PATH it runs what was served last, and goes over to what any host serves later. With PATH, it serves that to
    new instances from now on, as `stepwell serve PATH` does. Instances stay on the code that they began with: whatever
    that is, it comes from the database. SIGTERM or Ctrl-C stops as with `stepwell serve`.
    """
    from stepwell.cli.worker import WorkingOptions, work

    raise SystemExit(work(WorkingOptions(path=path or "", is_stored=path is None, **given)))


@main.command("mcp")
@click.option("--control", "controls", is_flag=True, help="Offer tools that change something, too.")
@options.remote
def speak_mcp(*, controls: bool, **where: Any) -> None:
    """Offer a server's workflows to AI agents, as tools of the Model Context Protocol.

    A client, such as Claude Code, Claude Desktop, Cursor or VS Code, starts this and speaks to it on standard input and
    output. Without --control its tools only read. What they may do is what the token may: give it one that may only
    read. Needs `pip install 'stepwell[mcp]'`.
    """
    from stepwell.cli.mcp.serving import serve as run

    raise SystemExit(run(where, controls=controls))


@main.command("settings")
@click.argument("path", default=".", shell_complete=completing.files)
@options.CONFIG
@options.SET
@options.shown
def show_settings(path: str, config: str | None, settings: tuple[str, ...], out: "Output") -> None:
    """List the settings that a server of PATH has, and where each came from.

    In this order: --set, the environment (STEPWELL_<NAME>), the table [settings] of the file stepwell.toml in the
    project's folder, or of that of --config, the default.
    """
    from stepwell.cli.settings import show

    raise SystemExit(show(path, settings, config, out))


@main.group()
def token() -> None:
    """Make, list and revoke the tokens that `stepwell serve` asks for.

    The store is opened, or reached through the server that has it.
    """


@token.command("create")
@options.STORE
@click.option("--account", default="local", show_default=True, metavar="ID", help="The account that it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "deploy", "audit", "webhooks", "metrics"]),
    help="What it is good for; read if nothing is said. Repeatable.",
)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice(
        [
            "Workers Tail Read",
            "Workers Scripts Read",
            "Workers Scripts Write",
            "deploy",
            "audit",
            "webhooks",
            "metrics",
        ]
    ),
    help="The same by Cloudflare's names. Repeatable.",
)
@click.option("--email", metavar="ADDRESS", help="Let it be sent as X-Auth-Key too, with this X-Auth-Email.")
@click.option("--name", default="", metavar="TEXT", help="What you call it.")
@click.option(
    "--expires", metavar="DURATION", help='How long it is good for, such as "90 days"; for ever if not given.'
)
def token_create(store: str, account: str, scopes: tuple[str, ...], permissions: tuple[str, ...], **more: Any) -> None:
    """Make a token. Prints its secret, which is shown only now, and nothing else."""
    from stepwell.cli.tokens import create

    raise SystemExit(create(store, account, scopes, permissions, **more))


@token.command("list")
@options.STORE
@options.shown
def token_list(store: str, out: "Output") -> None:
    """List all tokens: id, account, state, permissions, email, expiry, name."""
    from stepwell.cli.tokens import show

    raise SystemExit(show(store, out))


@token.command("revoke")
@click.argument("id")
@options.STORE
def token_revoke(id: str, store: str) -> None:
    """Let the token ID be good for nothing from now on."""
    from stepwell.cli.tokens import revoke

    raise SystemExit(revoke(store, id))


@token.command("sessions")
@options.STORE
@options.shown
def token_sessions(store: str, out: "Output") -> None:
    """List browsers that are signed in to the dashboard: token, its name, account, since when, last used, id."""
    from stepwell.cli.tokens import show_sessions

    raise SystemExit(show_sessions(store, out))


@token.command("sign-out")
@click.argument("id")
@options.STORE
def token_sign_out(id: str, store: str) -> None:
    """Sign out all browsers that the token ID has signed in. It stays good."""
    from stepwell.cli.tokens import sign_out

    raise SystemExit(sign_out(store, id))


@main.command()
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("params", required=False)
@click.option("--id", metavar="ID", help="The instance's id; a new one if not given.")
@click.option("--success-retention", metavar="TIME", help='How long it is kept after it completed: "7 days".')
@click.option("--error-retention", metavar="TIME", help="How long it is kept after it errored or was terminated.")
@click.option("--wait", is_flag=True, help="Wait for the end: exit code 0, 7 if it errored, 8 if it was terminated.")
@options.WATCH
@options.TIMEOUT
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of it. Repeatable.")
@options.shown
@options.remote
def trigger(  # noqa: PLR0913, PLR0917 - one for each option
    workflow: str,
    params: str | None,
    id: str | None,
    success_retention: str | None,
    error_retention: str | None,
    wait: bool,
    watch: bool,
    timeout: float | None,
    labels: tuple[str, ...],
    out: "Output",
    **where: Any,
) -> None:
    """Create an instance of WORKFLOW. PARAMS is JSON, @FILE with JSON, or - for standard input."""
    from stepwell.cli import arguments, instances, profiles, searching, waiting

    retention = {"success_retention": success_retention, "error_retention": error_retention}
    kept = {kind: time for kind, time in retention.items() if time}
    new = instances.New(id, arguments.json_of(params), searching.labels_of(labels), kept)
    waited = waiting.Waiting(wait, watch, timeout)
    raise SystemExit(instances.trigger(profiles.connect(**where), workflow, new, waited, out))


@main.command("export")
@click.argument("workflow", shell_complete=completing.workflows)
@click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=completing.instances)
@click.option("--with-sensitive", is_flag=True, help="Also what steps return that are sensitive; it is audited.")
@options.STORE
@options.ACCOUNT
def export_instances(workflow: str, ids: tuple[str, ...], *, with_sensitive: bool, store: str, account: str) -> None:
    """Print instances of WORKFLOW whole, as JSON lines, for `stepwell import`.

    An ID may also be - for standard input, or @FILE, with an id on each line. Params, results, events and logs are
    there, but not what steps return that are sensitive: with that left out an instance can be read, and not imported.
    The store is opened, or reached through the server that has it; an instance that is running is taken as it is at
    that moment, and goes on.
    """
    from stepwell.cli import transfers

    raise SystemExit(transfers.export(store, account, workflow, ids, with_sensitive=with_sensitive))


@main.command("import")
@click.argument("file", default="-", shell_complete=completing.files)
@options.STORE
@options.ACCOUNT
@click.option("--as", "id", metavar="ID", help="The id that it gets; FILE then has one instance.")
def import_instances(file: str, store: str, account: str, id: str | None) -> None:
    """Bring in the instances in FILE, or standard input, and print their ids.

    FILE is what `stepwell export` has printed. Their workflows have to be there: serve their code once. One that has
    not ended goes on here, on its own version if the store has the same code, else on the newest; see to it that it
    does not go on where it came from as well. What cannot be brought in whole is not brought in at all.
    """
    from stepwell.cli import transfers

    raise SystemExit(transfers.bring_in(store, account, file, id))


@main.command("copy")
@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
@click.option("--dry-run", is_flag=True, help="Print what there is to copy, and do nothing.")
@options.shown
def copy_store(source: str, target: str, dry_run: bool, out: "Output") -> None:
    """Copy the whole store at FROM_URL to TO_URL, where there is none yet or an empty one.

    Both are URLs as of `serve --store`: a file or a PostgreSQL database, in any combination. Instances that have not
    ended go on in the copy; whatever was held by a worker is tried again there, as after a crash. Stop the servers of
    both stores first. If something goes wrong, or the copying is ended, there is no store at TO_URL.
    """
    from stepwell.cli.copying import copy, describe

    raise SystemExit(describe(source, target, out) if dry_run else copy(source, target, out))


@main.group()
def profile() -> None:
    """Keep servers under names: address, account, token."""


@profile.command("set")
@click.argument("name", shell_complete=completing.profiles)
@click.option("--url", metavar="URL", help="The server.")
@click.option("--account", metavar="ID", help="The account.")
@click.option("--token", is_flag=True, help="Ask for the token, or read it from standard input.")
def profile_set(name: str, url: str | None, account: str | None, token: bool) -> None:
    """Make or change the profile NAME. What is not given stays."""
    from stepwell.cli.profile_commands import change

    raise SystemExit(change(name, url, account, asks_token=token))


@profile.command("list")
@options.shown
def profile_list(out: "Output") -> None:
    """List all profiles: name, address, account, whether there is a token; * marks the one in use."""
    from stepwell.cli.profile_commands import show

    raise SystemExit(show(out))


@profile.command("use")
@click.argument("name", shell_complete=completing.profiles)
def profile_use(name: str) -> None:
    """Use the profile NAME where no other is named."""
    from stepwell.cli.profile_commands import use

    raise SystemExit(use(name))


@profile.command("show")
@options.shown
@options.remote
def profile_show(out: "Output", **where: Any) -> None:
    """Say which server a command would ask, for which account, with which token, and what says so.

    In this order: option, environment (STEPWELL_URL, STEPWELL_ACCOUNT, STEPWELL_TOKEN, STEPWELL_PROFILE), the table
    [client] of the file stepwell.toml in the current folder, profile, default.
    """
    from stepwell.cli.profile_commands import show_used

    raise SystemExit(show_used(where, out))


wrangler_spellings.attach(main)
