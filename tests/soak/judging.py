"""Holds a store, when its servers have ended, against all ledgers."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from stepwell.core.records import Completed, PayloadRef, Running, StepSucceeded
from stepwell.errors import InstanceNotFound
from stepwell.store import Store, codec
from stepwell.store.opening import open_store
from stepwell.store.operations import GetInstance, GetWorkflow, InstanceHistory, ReadPayload
from tests.soak.calls import Began, Call, read
from tests.soak.faults import Span
from tests.soak.hosts import Site
from tests.soak.promises import STAGES, Broken, Facts, Findings, check_absent, check_instance, check_reads
from tests.soak.watching import Reading

ACCOUNT = "local"
_INSTANCES = """
    select w.name, i.id
    from instances as i
    join workflows as w on w.row = i.workflow
    order by i.row
    """
_PLACES = """
    select i.id, r.turn, r.n
    from records as r
    join instances as i on i.row = r.instance
    where i.workflow > 0
    order by i.row, r.seq
    """
_STATUSES = """
    select w.name, i.status, count(*)
    from instances as i
    join workflows as w on w.row = i.workflow
    group by w.name, i.status
    """
# What a limit says is held, and those who hold it.
_SLOTS = """
    select l.name, l.held, (select count(*) from shared_slots as s where s.shared_limit = l.row)
    from shared_limits as l
    """
# Of instances that are gone from among those of their workflow their rows may still be there.
_OWNED = """
    select count(*)
    from instances
    where owner is not null
        and workflow > 0
    """


async def judge(site: Site, reading: Reading, late: Sequence[Span]) -> Findings:
    """Return what was broken of all that is promised."""
    calls = [call for path in sorted(site.folder.glob("*.calls")) for call in read(path, Call)]
    findings = Findings(list(check_reads(calls)))
    findings.broken += await asyncio.to_thread(_check_whole, reading, is_file=site.database is None)
    store = await asyncio.to_thread(open_store, site.url)
    try:
        await _check_instances(store, reading, _Ledgers(site, calls, late), findings)
        findings.broken += await _check_counts(store, reading)
    finally:
        await store.close()
    return findings


class _Ledgers:
    """What clients and bodies have written down, by instance."""

    def __init__(self, site: Site, calls: Sequence[Call], late: Sequence[Span]) -> None:
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.began: dict[str, list[tuple[int, Began]]] = defaultdict(list)
        # The lines of processes that may have been late.
        self.late: set[int] = set()
        by_pid: dict[int | None, list[Span]] = defaultdict(list)
        for span in late:
            by_pid[span.of].append(span)
        for call in calls:
            if call.id:
                self.calls[call.id].append(call)
        for number, began in enumerate(read(site.ledger, Began)):
            self.began[began.instance].append((number, began))
            if any(span.began <= began.at <= span.ended for span in (*by_pid[began.pid], *by_pid[None])):
                self.late.add(number)

    def facts(
        self, found: InstanceHistory, places: Sequence[tuple[int, int]], output: Any, children: Sequence[Any]
    ) -> Facts:
        """Return what is known of an instance."""
        id = found.row.id
        of_parent = None if id in self.calls else self.calls.get(id.rpartition("-")[0], [])
        return Facts(found, places, self.began[id], self.calls.get(id, []), output, self.late, children, of_parent)


async def _check_instances(store: Store, reading: Reading, ledgers: _Ledgers, findings: Findings) -> None:
    there = {id: workflow for workflow, id in await asyncio.to_thread(reading.ask, _INSTANCES)}
    places = await asyncio.to_thread(_places, reading)
    outputs: dict[str, list[Any]] = defaultdict(list)
    # Those that others have made come behind them.
    for id, workflow in sorted(there.items(), key=lambda each: each[1] == "family"):
        try:
            found = await store.run(GetInstance(ACCOUNT, workflow, id))
        except InstanceNotFound:
            findings.broken.append(Broken("every instance is found", id, "it has a row"))
            continue
        if id not in ledgers.calls and id.rpartition("-")[0] not in ledgers.calls:
            findings.broken.append(Broken("nothing is there unasked", id, f"nobody has created it: {workflow}"))
        output = await _output(store, found)
        facts = ledgers.facts(found, places[id], output, outputs[id])
        findings.broken += check_instance(facts)
        _count(findings.counts, found, facts)
        if output is not None:
            outputs[id.rpartition("-")[0]].append(output)
    for id, calls in ledgers.calls.items():
        if id not in there:
            findings.broken += check_absent(id, calls)
    findings.counts["bodies that began"] = sum(map(len, ledgers.began.values()))


async def _output(store: Store, found: InstanceHistory) -> Any:
    """Return what an instance has returned, if it is complete."""
    end = codec.from_row(found.records[-1]).record
    if not isinstance(end, Completed):
        return None
    text = await store.run(ReadPayload(end.value.id)) if isinstance(end.value, PayloadRef) else end.value
    return json.loads(text)


def _places(reading: Reading) -> Mapping[str, list[tuple[int, int]]]:
    rows = reading.ask(_PLACES)
    places = {id: [(turn, n) for _, turn, n in group] for id, group in groupby(rows, key=itemgetter(0))}
    return defaultdict(list, places)


def _count(counts: Counter[str], found: InstanceHistory, facts: Facts) -> None:
    counts[f"instances, {found.row.status}"] += 1
    counts["records"] += len(found.records)
    counts["turns"] += found.row.turn
    records = [record for _, record in codec.from_rows(found.records)]
    counts["turns that were lost"] += sum(isinstance(record, Running) and record.lost for record in records)
    counts["steps that succeeded"] += sum(isinstance(record, StepSucceeded) for record in records)
    counts["bodies that may have begun late"] += sum(number in facts.late for number, _ in facts.began)


def _check_whole(reading: Reading, *, is_file: bool) -> list[Broken]:
    """Return what is wrong with the store as a whole."""
    broken = []
    if is_file:
        for (told,) in reading.ask("pragma integrity_check"):
            if told != "ok":
                broken.append(Broken("the file is sound", "", str(told)))
    for name, held, there in reading.ask(_SLOTS):
        if held != there:
            broken.append(Broken("counts are what is there", name, f"{held} slots are held, and {there} have one"))
    ((owned,),) = reading.ask(_OWNED)
    if owned:
        broken.append(Broken("every instance ends as it should", "", f"{owned} are still held by somebody"))
    return broken


async def _check_counts(store: Store, reading: Reading) -> list[Broken]:
    """Return where a workflow's counts are not those of its instances."""
    there: dict[str, dict[str, int]] = defaultdict(dict)
    for workflow, status, count in await asyncio.to_thread(reading.ask, _STATUSES):
        there[workflow][status] = count
    broken = []
    for workflow in STAGES:
        told = (await store.run(GetWorkflow(ACCOUNT, workflow))).counts
        if {status: count for status, count in told.items() if count} != there[workflow]:
            broken.append(
                Broken("counts are what is there", workflow, f"{told} are told, and there are {there[workflow]}")
            )
    return broken
