"""`stepwell export` and `import`: instances as JSON lines, out of the store and into it."""

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import click

from stepwell.audit import AuditedStore, asking, by_command
from stepwell.cli import arguments
from stepwell.cli.failures import CONFLICT, NOT_FOUND, Failure
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import say
from stepwell.clock import SystemClock
from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, WorkflowNotFound
from stepwell.store import Store
from stepwell.store.opening import is_there, shown
from stepwell.store.transfer_operations import ImportedInstance, TellExport
from stepwell.transfers import export as lines_of
from stepwell.transfers import import_next, left_out


def export(store: str, account: str, workflow: str, ids: Sequence[str], *, with_sensitive: bool) -> int:
    """Print instances as JSON lines; return the exit code. Raises Failure."""
    wanted = [id for argument in ids for id in arguments.ids_of(argument)]

    async def work(opened: Store) -> None:
        for id in wanted:
            try:
                if with_sensitive:
                    with asking(by_command(SystemClock().now())):
                        await AuditedStore(opened).run(TellExport(account, workflow, id))
                lines = lines_of(opened, account, workflow, id, with_sensitive=with_sensitive)
                head = await anext(lines)
                sys.stdout.buffer.write(head)
                async for line in lines:
                    sys.stdout.buffer.write(line)
                if count := left_out(head):
                    say(
                        f"{workflow}/{id}: what sensitive steps returned ({count}) is left out; --with-sensitive has it"
                    )
            except (WorkflowNotFound, InstanceNotFound) as error:
                hint = f"--store and --account say where it is sought: {shown(store)}, {account}"
                raise Failure(str(error), NOT_FOUND, hint) from error
        sys.stdout.buffer.flush()

    return _in_store(store, work)


def bring_in(store: str, account: str, file: str, id: str | None) -> int:
    """Bring in the instances of a file and print their ids; return the exit code. Raises Failure."""
    with closing(_opened(file)) as source:
        lines = enumerate(source, 1)

        async def work(opened: Store) -> None:
            found = await _next(opened, account, lines, id)
            if found is None:
                say("there is no instance in it, so there is nothing to do")
            while found is not None:
                _tell(found)
                if id is not None and next(_more(lines), None) is not None:
                    raise click.UsageError("--as is for one instance, and there are more; the first one is there now")
                found = await _next(opened, account, lines, id)

        return _in_store(store, work)


async def _next(
    opened: Store, account: str, lines: Iterator[tuple[int, bytes]], id: str | None
) -> ImportedInstance | None:
    try:
        return await import_next(opened, account, lines, id)
    except InstanceAlreadyExists as error:
        hint = "--as brings in a single one under another id; a copy that is of no use any more can be deleted"
        raise Failure(str(error), CONFLICT, hint) from error
    except WorkflowNotFound as error:
        hint = "serve its code once on this store: stepwell serve PATH; --account says whose workflows are meant"
        raise Failure(str(error), NOT_FOUND, hint) from error


def _tell(found: ImportedInstance) -> None:
    row = found.row
    click.echo(row.id)
    code = "its own version" if found.is_same_version else "the newest version, as its own is not in this store"
    say(f"{row.workflow}/{row.id} is here: {row.status}, {row.seq} records, {code} {row.version}")


def _more(lines: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    return (line for _, line in lines if line.strip())


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}") from error


def _in_store(store: str, work: Callable[[Store], Awaitable[None]]) -> int:
    if not is_there(store):
        hint = "--store says where it is; `stepwell dev` and `stepwell serve` make one"
        raise Failure(f"there is no store at {shown(store)}", NOT_FOUND, hint)
    with_store(store, work)
    return 0
