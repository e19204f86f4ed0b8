"""`stepwell export`, `import` and `copy`: what each command is given."""

from typing import TYPE_CHECKING

import click

from stepwell.cli import completing, options
from stepwell.cli.failures import Command

if TYPE_CHECKING:
    from stepwell.cli.output import Output


@click.command("export", cls=Command)
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


@click.command("import", cls=Command)
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


@click.command("copy", cls=Command)
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
