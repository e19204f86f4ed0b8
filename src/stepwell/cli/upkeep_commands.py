"""`stepwell init` and what keeps a store well: what each command is given."""

from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command(cls=Command)
@click.argument("folder", default=".", shell_complete=completing.folders)
def init(folder: str) -> None:
    """Make a small project in FOLDER: a workflow, its test, and what belongs beside them.

    FOLDER is a new one, or an empty one; the current one if it is not given. Prints the files.
    """
    from stepwell.cli import new_project

    raise SystemExit(new_project.make(folder))


@click.command(cls=Command)
@click.argument("file", shell_complete=completing.files)
@options.STORE
@options.shown
def backup(file: str, store: str, out: "Output") -> None:
    """Copy the store into FILE, as it is at one moment, and check the copy; servers go on meanwhile.

    FILE must not be there yet. Every page, every record and every history is checked before FILE is. A store in
    PostgreSQL is backed up with pg_dump.
    """
    from stepwell.cli import backups

    raise SystemExit(backups.backup(store, file, out))


@click.command(cls=Command)
@click.argument("file", shell_complete=completing.files)
@options.STORE
@options.shown
def restore(file: str, store: str, out: "Output") -> None:
    """Make a store of FILE, which `stepwell backup` has made, where there is none.

    Instances that had not ended go on when it is served; what was done after the backup is done again, under the same
    idempotency keys. Serve the store that was backed up no more.
    """
    from stepwell.cli import backups

    raise SystemExit(backups.restore(file, store, out))


@click.command(cls=Command)
@click.argument("path", default=".", shell_complete=completing.files)
@options.STORE
@options.CONFIG
@click.option("--fix", "mends", is_flag=True, help="Put right what can be put right safely.")
@options.shown
@options.remote
def doctor(path: str, store: str, config: str | None, mends: bool, out: "Output", **where: Any) -> None:
    """Look for what commonly goes wrong: here, in the code of PATH, in the store, and at the server.

    A line for each thing: ok, warning or fault, and what helps. Without --fix nothing is changed; no code of yours is
    run. Exits with 1 if there is a fault.
    """
    from stepwell.cli.doctor import examine

    raise SystemExit(examine((path, config), store, where, out, mends=mends))


@click.command(cls=Command)
@options.STORE
@click.option("--check", "only_looks", is_flag=True, help="Change nothing: exit with 1 if something is lacking.")
@options.shown
def migrate(store: str, only_looks: bool, out: "Output") -> None:
    """Bring the store up to this release's schema, and print what was applied.

    Servers do so when they are started. It is all or nothing, and there is no way back: make a backup before.
    """
    from stepwell.cli import schemas

    raise SystemExit(schemas.migrate(store, out, only_looks=only_looks))


@click.command(cls=Command)
@options.STORE
@options.shown
def reencrypt(store: str, out: "Output") -> None:
    """Seal all payloads of the store with the newest key; servers go on meanwhile.

    Keys are in STEPWELL_ENCRYPTION_KEYS, or in the file that STEPWELL_ENCRYPTION_KEYS_FILE names: NAME:KEY, the newest
    first. Payloads that are not encrypted yet are, then. Prints how many of each table were sealed, and how many could
    not be opened; exits with 1 if there are such. It can be interrupted, and begun again.
    """
    from stepwell.cli import reencrypting

    raise SystemExit(reencrypting.reencrypt(store, out))


@click.command(cls=Command)
@options.shown
@options.remote
def version(out: "Output", **where: Any) -> None:
    """Say which release of Stepwell this is, and which one the server is."""
    from stepwell.cli import versions

    raise SystemExit(versions.show(where, out))


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish", "powershell")))
def print_completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, and what the server has: names, ids, steps.

    In ~/.bashrc, or in ~/.zshrc behind compinit: eval "$(stepwell completion bash)", or zsh.

    For fish, once: stepwell completion fish > ~/.config/fish/completions/stepwell.fish

    In PowerShell's profile: stepwell completion powershell | Out-String | Invoke-Expression
    """
    from stepwell.cli import completion

    raise SystemExit(completion.show(shell))
