"""`stepwell audit`, over the API or on a store itself."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from stepwell import audit_log
from stepwell.cli import profiles, times
from stepwell.cli.failures import FAILED, NOT_FOUND, Failure
from stepwell.cli.output import Column, Item, Output, in_one_line, json_of
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.store import Store
from stepwell.store.audit_operations import ListAudit
from stepwell.store.opening import is_there, shown

Wanted = Mapping[str, str | None]
# Gives what is wanted, some at a time, up to a number of them; None: all.
Source = Callable[[Wanted, int | None, Callable[[Sequence[Item]], None]], None]

_DEFAULT_ACCOUNT = "local"


def _target(entry: Item) -> str:
    named = (entry["workflow_name"], entry["instance_id"], entry["thing"])
    return " ".join(str(name) for name in named if name is not None) or "-"


_COLUMNS = (
    Column("at", lambda entry: times.short(entry["at"])),
    Column("who", lambda entry: str(entry["who"])),
    Column("action", lambda entry: str(entry["action"])),
    Column("to", _target),
    Column("from", lambda entry: str(entry["address"]) or "-", rank=1),
    Column("by", lambda entry: str(entry["way"]), rank=3),
    Column("detail", lambda entry: in_one_line(json_of(entry["detail"])) if entry["detail"] else "-", rank=2),
    Column("token", lambda entry: entry["token_id"] or "-", is_wide=True),
    Column("agent", lambda entry: str(entry["agent"]) or "-", is_wide=True),
)


def source(where: Mapping[str, Any], store: str | None) -> Source:
    """Return where entries come from: the server that a command is told of, or a store. Raises Failure."""
    if store is None:
        return _of_server(profiles.connect(**where))
    if not is_there(store):
        raise Failure(f"there is no store at {shown(store)}", NOT_FOUND, "--store says where it is")
    return _of_store(store, where.get("account") or _DEFAULT_ACCOUNT)


def show(source: Source, wanted: Wanted, limit: int, out: Output) -> int:
    """Print entries, newest first; return the exit code."""
    found: list[Item] = []
    source(wanted, limit, found.extend)
    if not out.show_all(found, _COLUMNS) and out.is_text:
        say("nothing of that is in the audit log")
    return 0


def export(source: Source, wanted: Wanted, file: str, form: str) -> int:
    """Write all entries to a file that is not there yet, for its owner alone; return the exit code. Raises Failure."""
    if file == "-":
        _write(source, wanted, form, sys.stdout.buffer)
        return 0
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}", FAILED, "name a file that is not there") from error
    try:
        with open(opened, "wb") as target:  # noqa: PTH123 - a descriptor, which has its rights from the beginning
            count = _write(source, wanted, form, target)
    except BaseException:
        # Half of a log would be taken for all of it.
        with suppress(OSError):
            os.unlink(file)  # noqa: PTH108 - as it was opened
        raise
    say(f"{count:,} entries are in {file}")
    return 0


def _write(source: Source, wanted: Wanted, form: str, target: BinaryIO) -> int:
    count = 0

    def take(entries: Sequence[Item]) -> None:
        nonlocal count
        if not count and form == "csv":
            target.write(audit_log.csv_head())
        count += len(entries)
        lines = (f"{in_one_line(json_of(entry))}\n".encode() for entry in entries)
        target.write(audit_log.as_csv(entries) if form == "csv" else b"".join(lines))

    source(wanted, None, take)
    if not count:
        take([])
    target.flush()
    return count


def _of_server(client: Client) -> Source:
    def give(wanted: Wanted, limit: int | None, take: Callable[[Sequence[Item]], None]) -> None:
        at_once = min(audit_log.AT_ONCE, limit or audit_log.AT_ONCE)
        entries: Iterable[Item] = islice(client.audit({**wanted, "per_page": str(at_once)}), limit)
        entries = iter(entries)
        while found := list(islice(entries, at_once)):
            take(found)

    return give


def _of_store(url: str, account: str) -> Source:
    def give(wanted: Wanted, limit: int | None, take: Callable[[Sequence[Item]], None]) -> None:
        async def work(opened: Store) -> None:
            left = limit
            async for entries in audit_log.pages(opened, _asked(wanted, account)):
                taken = audit_log.members_of(entries[:left])
                take(taken)
                left = None if left is None else left - len(taken)
                if left == 0:
                    return

        with_store(url, work)

    return give


def _asked(wanted: Wanted, account: str) -> ListAudit:
    bounds = (wanted["date_start"], wanted["date_end"])
    moments = [None if at is None else round(times.moment_of(at) * 1000) for at in bounds]
    named = (wanted["action"], wanted["token"], wanted["workflow"], wanted["instance"])
    return ListAudit(account, audit_log.AT_ONCE, None, *named, *moments)
