"""Operations of every kind, drawn by lot: most of them fit what the store has, and some do not."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec

from stepwell.core.records import (
    Action,
    Created,
    EventReceived,
    Moved,
    PauseAsked,
    Paused,
    Restarted,
    Resumed,
    RollbackResumed,
    RollbackStarted,
    StepForced,
    Terminated,
    Waiting,
)
from stepwell.limits import MOST_RETENTION_MS
from stepwell.store import account_operations as accounts
from stepwell.store import audit_operations as audit
from stepwell.store import child_operations as children
from stepwell.store import codec, once
from stepwell.store import control_operations as control
from stepwell.store import fact_operations as facts
from stepwell.store import flow_operations as flows
from stepwell.store import job_operations as jobs
from stepwell.store import label_operations as labels
from stepwell.store import note_operations as said
from stepwell.store import operations as ops
from stepwell.store import retention_operations as retention
from stepwell.store import schedule_operations as schedules
from stepwell.store import session_operations as sessions
from stepwell.store import snapshot_operations as snapshots
from stepwell.store import stream_operations as streams
from stepwell.store import token_operations as tokens
from stepwell.store import trace_operations as traces
from stepwell.store import transfer_operations as transfers
from stepwell.store import upkeep_operations as upkeep
from stepwell.store import webhook_operations as webhooks
from stepwell.store import workflow_operations as workflows
from stepwell.store.code_graph import CodeGraph
from stepwell.store.encryption_operations import Reencrypt
from stepwell.store.forcing_operations import ForceStep, ListDecisions
from stepwell.store.host_operations import ListHosts
from stepwell.store.operations import Operation
from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.situation_operations import NoteBlocked, ReadSituation
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import Connection
from tests.store.anything import CLASSES, IDS, LABELS, SCRIPTS, SEARCHES, STATUSES, STEPS, WORKFLOWS, Anything
from tests.store.difference import CREATIONS, Step

NEVER_TWICE = (
    ops.RegisterWorkflow,
    workflows.PutWorkflow,
    snapshots.ServeSnapshot,
    tokens.AddToken,
    sessions.BeginSession,
    jobs.StartJob,
    webhooks.AddWebhook,
    transfers.BeginImport,
    transfers.ImportRecords,
    transfers.ImportNotes,
)
"""They have ids of their own making; sent again after something else came between they would break their promise."""

_ALONE = (
    transfers.BeginImport,
    transfers.ImportRecords,
    transfers.ImportNotes,
    transfers.FinishImport,
    transfers.AbandonImport,
)
"""They fit the one that is coming in as it is: behind another of them in a batch none would."""


# ---- workflows

FLOWS = (
    *[None] * 12,
    '{"limit":3,"ageing":60000}',
    '{"key":"k","limit_per_key":1,"rate":{"limit":2,"period":50},"ageing":60000}',
    '{"key":"k","singleton":"skip","ageing":60000}',
    '{"ageing":60000,"shared":{"desk":{"concurrency":1}}}',
    '{"limit":2,"key":"k","singleton":"queue","rate_per_key":{"limit":1,"period":30},"ageing":60000}',
)


def _settings(lot: Anything) -> ops.VersionSettings:
    steps, crons = lot.of(None, lot.number()), tuple(lot.few(["* * * * *", "0 0 * * 1"]))
    return ops.VersionSettings(steps, lot.of(*[None] * 9, 5), _kept(lot), _kept(lot), crons)


def _kept(lot: Anything) -> int | None:
    # The edges let no more in, so that no moment is beyond what 64 bits hold.
    kept: int | None = lot.of(None, min(lot.number(), MOST_RETENTION_MS), lot.random.randint(1, 100))
    return kept


def _told(lot: Anything) -> tuple[int, int]:
    return lot.random.randint(0, 400), lot.random.randint(0, 400)


def _delete_expired(lot: Anything) -> Operation[Any]:
    there = lot.rows("select row, seq from instances order by row")
    ended = lot.rows("select row, seq from instances where ended_at is not null order by row")
    some = dict.fromkeys(lot.few([*ended, *ended, *ended, *there, (99, 1)]))
    if lot.chance(50):
        return retention.DeleteExpired([*some])
    return retention.DeleteExpired([*some], lot.of(2, 5, 20), lot.of(1, 5_000, 20_000))


def _register_workflow(lot: Anything) -> ops.RegisterWorkflow:
    made_of = (lot.random.choice(SCRIPTS), lot.random.choice(CLASSES), lot.of("aa", "bb"))
    name, ids = lot.random.choice(WORKFLOWS), (lot.new_id(), lot.new_id())
    settings = _settings(lot) if lot.chance(30) else ops.NO_SETTINGS
    classes = tuple(lot.few(CLASSES))
    schema = lot.of(None, '{"type": "größer"}')
    graph = CodeGraph('{"nodes": []}') if made_of[2] == "aa" else CodeGraph(None, "zu groß")
    who, snapshot = lot.account(), lot.snapshot()
    flow = lot.random.choice(FLOWS)
    return ops.RegisterWorkflow(who, name, *made_of, *ids, lot.now, schema, settings, classes, snapshot, graph, flow)


def _serve_snapshot(lot: Anything) -> Operation[Any]:
    who, snapshot = lot.account(), lot.snapshot()
    drawn = [_register_workflow(lot) for _ in range(lot.of(0, 1, 2))]
    made = {one.name: msgspec.structs.replace(one, account=who, snapshot=snapshot) for one in drawn}
    return snapshots.ServeSnapshot(who, snapshot, lot.now, (*made.values(),), lot.chance(50), lot.of("{}", '{"b":2}'))


def _put_workflow(lot: Anything) -> Operation[Any]:
    script, class_name = (
        lot.random.choice([*SCRIPTS, *SCRIPTS, "none"]),
        lot.random.choice([*CLASSES, *CLASSES, "None"]),
    )
    ids = (lot.new_id(), lot.new_id())
    name = lot.random.choice(WORKFLOWS)
    return workflows.PutWorkflow(
        lot.account(), name, script, class_name, *ids, _settings(lot), lot.now, lot.of(1, 3, 100)
    )


def _list_workflows(lot: Anything) -> Operation[Any]:
    return ops.ListWorkflows(lot.account(), lot.of(1, 2, 100), lot.of(0, 0, 1), lot.random.choice(SEARCHES))


def _of_version(kind: type[Operation[Any]]) -> Callable[[Anything], Operation[Any]]:
    def make(lot: Anything) -> Operation[Any]:
        found = lot.rows("select w.account, w.name, v.id from versions as v join workflows as w on w.row = v.workflow")
        account, name, id = lot.random.choice(found) if found and lot.chance(70) else (*lot.place(), "none")
        return kind(account, name, id)

    return make


def _purge(lot: Anything) -> Operation[Any]:
    if lot.chance(50):
        return workflows.PurgeDeleted()
    return workflows.PurgeDeleted(lot.of(1, 2, 200), lot.of(1, 3, 5_000), lot.of(1, 5_000, 2**24))


# ---- instances, from outside


def _create(lot: Anything) -> ops.CreateInstance:
    record = codec.to_row(Created(lot.now, "api", lot.text()))
    checked = lot.of("old", *lot.rows("select version from workflows")) if lot.chance(20) else None
    checked = checked[0] if isinstance(checked, tuple) else checked
    id = lot.random.choice(IDS) if lot.chance(70) else lot.new_id()
    queue = (lot.of("", "ann", "größe"), lot.of(0, 0, 60_000), lot.of(None, None, 0))
    own = ops.Retention(_own(lot), _own(lot)) if lot.chance(30) else None
    given = {lot.random.choice(LABELS): lot.label() for _ in range(lot.of(0, 0, 1, 3))}
    return ops.CreateInstance(*lot.place(), id, lot.of("api", "cron"), record, lot.now, checked, *queue, own, given)


def _own(lot: Anything) -> int | None:
    return _kept(lot) or None


def _event(lot: Anything) -> ops.AppendEvent:
    value: Any = lot.text()
    return ops.AppendEvent(*lot.named(), codec.to_row(EventReceived(lot.now, lot.of("go", "Go"), value)))


def _get_instance(lot: Anything) -> Operation[Any]:
    return ops.GetInstance(*lot.named(), lot.chance(50))


def _list_instances(lot: Anything) -> Operation[Any]:
    after = (lot.now - lot.random.randint(0, 500), lot.random.randint(0, 9)) if lot.chance(30) else None
    bounds = (lot.of(None, lot.now - 500), lot.of(None, lot.now - 20, 2**62))
    status = lot.of(None, lot.random.choice(STATUSES))
    return ops.ListInstances(*lot.place(), lot.of(1, 3, 100), lot.of(0, 0, 2), after, lot.chance(50), status, *bounds)


def _force(lot: Anything) -> Operation[Any]:
    seen = lot.instance()
    action = lot.of(*Action)
    record = StepForced(lot.now, lot.key(), action, "ann", lot.of(None, 1), lot.of(None, lot.text()))
    restarted = lot.of(0, 3) if lot.chance(10) else seen.restarted_seq
    return ForceStep(*seen.named, codec.to_row(record), seen.row + lot.chance(8), restarted)


def _once(lot: Anything) -> Operation[Any]:
    wanted = _create(lot) if lot.chance(50) else _event(lot)
    request, kept = lot.of("r", "r", "R"), lot.of(100, 10**9)
    return once.Once(lot.account(), lot.of("k", "K", "\0"), request, lot.now, wanted, kept)


def _find_once(lot: Anything) -> Operation[Any]:
    return once.FindOnce(lot.account(), lot.of("k", "K", "\0"), lot.of("r", "r", "R"), lot.now, lot.of(100, 10**9))


# ---- control


def _pause(lot: Anything) -> Operation[Any]:
    return control.PauseInstance(*lot.named(), codec.to_row(PauseAsked(lot.now)), codec.to_row(Paused(lot.now)))


def _terminate(lot: Anything) -> Operation[Any]:
    rollback = codec.to_row(RollbackStarted(lot.now, lot.failure(), "api"))
    return control.TerminateInstance(
        *lot.named(), codec.to_row(Terminated(lot.now, "api")), rollback if lot.chance(40) else None
    )


def _resume_rollback(lot: Anything) -> Operation[Any]:
    seen = lot.instance("i.ended_at is not null")
    record = codec.to_row(RollbackResumed(lot.now))
    return control.ResumeRollback(*seen.named, record, seen.row, seen.seq - lot.chance(20))


def _restart(lot: Anything) -> Operation[Any]:
    seen = lot.instance()
    begins = codec.to_row(Restarted(lot.now, "api", lot.of(None, 3), lot.number()))
    known = (lot.of(None, seen.restarted_seq, seen.restarted_seq + lot.chance(10)), lot.of(None, seen.row))
    what = (lot.number(), lot.of(None, None, lot.now - 10), lot.chance(30))
    return control.RestartInstance(*seen.named, lot.of("api", "cron"), begins, *what, *known)


def _move(lot: Anything) -> Operation[Any]:
    seen = lot.instance("i.ended_at is null") if lot.chance(80) else lot.instance()
    versions = lot.rows("select w.account, w.name, v.id from versions as v join workflows as w on w.row = v.workflow")
    found = [id for account, name, id in versions if (account, name) == seen.named[:2]]
    version = lot.random.choice(found) if found and lot.chance(85) else "none"
    record = codec.to_row(Moved(lot.now, version, "before"))
    return control.MoveInstance(*seen.named, version, [record], seen.row, seen.seq - lot.chance(15))


def _terminate_some(lot: Anything) -> Operation[Any]:
    record = codec.to_row(Terminated(lot.now, "api"))
    place = lot.one("select workflow from terminations", 0)
    found = lot.rows(f"select account, name from workflows where row = {place}")
    account, name = found[0] if found else lot.place()
    # Which ones a bounded part takes is the database's choice: so it takes all of them, and may not know that.
    matching = lot.rows(
        f"""
        select count(*)
        from instances as i
        join terminations as t on t.workflow = i.workflow
        where i.workflow = {place}
            and i.row <= t.upto
            and i.status in (select value from json_each(t.statuses))
        """
    )[0][0]
    return control.TerminateSome(str(account), str(name), record, max(matching, 1) if lot.chance(50) else 1_000)


# What is audited, drawn by lot as it is without.
_AUDITED = (
    control.PauseInstance,
    control.ResumeInstance,
    control.TerminateInstance,
    control.RestartInstance,
    control.DeleteInstance,
    accounts.ChangeAccountSettings,
    tokens.RevokeToken,
)


def _audited(lot: Anything) -> Operation[Any]:
    wanted: Any = LOTS[lot.random.choice(_AUDITED)][1](lot)
    way = lot.of("token", "command")
    return audit.Audited(wanted, audit.Asked(way, "größe", lot.now, lot.of(None, "t"), "::1", lot.of("", "curl")))


def _list_audit(lot: Anything) -> Operation[Any]:
    where: Any = (lot.of(None, *WORKFLOWS), lot.of(None, *IDS)) if lot.chance(30) else (None, None)
    bounds: Any = (lot.of(None, lot.now - 200), lot.of(None, lot.now - 20))
    what: Any = (lot.of(None, 5), lot.of(None, "instance.pause"), lot.of(None, "t"))
    return audit.ListAudit(lot.account(), lot.of(1, 100), *what, *where, *bounds)


def _note_facts(lot: Anything) -> Operation[Any]:
    of = (lot.of(None, lot.account()), lot.of(None, *WORKFLOWS), lot.of(None, *IDS))
    return facts.NoteFacts([facts.Fact(lot.now, "info", "turn.lost", "größe 😀", "a:1", "server", *of)], lot.of(1, 50))


def _list_facts(lot: Anything) -> Operation[Any]:
    of = (lot.of(None, *WORKFLOWS), lot.of(None, *IDS), lot.of(None, "server"))
    return facts.ListFacts(lot.of(None, lot.account()), lot.of(1, 100), lot.of(None, "turn.lost"), *of, lot.of(None, 5))


# ---- workers and turns


def _register_worker(lot: Anything) -> Operation[Any]:
    lease_until = lot.of(lot.now + 20, lot.now + 60_000, 2**62)
    return ops.RegisterWorker(lot.of("w", "W\0\x1a"), lease_until, lot.now, lot.snapshot())


def _claim(lot: Anything) -> Operation[Any]:
    worker = lot.worker()
    of_worker = lot.rows(f"select snapshot from workers where row = {worker}")
    snapshot = of_worker[0][0] if of_worker and lot.chance(90) else lot.snapshot()
    suspects = lot.of((), (), (0, 0), (20, 0), (19, 1))
    return ops.ClaimDue(worker, lot.now, _limit(lot), snapshot, suspects)


def _abandon(lot: Anything) -> Operation[Any]:
    worker = lot.worker()
    held = lot.rows(f"select row, turn from instances where owner = {worker}")
    return ops.AbandonUnknown(worker, [(row, turn) for row, turn in held if lot.chance(70)])


def _limit(lot: Anything) -> int:
    # Of those that are due at the same moment, and have not all room, each database takes others.
    due = [at for (at,) in lot.rows("select due_at from instances where due_at is not null")]
    return lot.random.randint(0, 3) if len(due) == len(set(due)) and lot.chance(50) else 1_000


def _turn(lot: Anything) -> tuple[int, int, int, int, list[ops.RecordRow], int]:
    """Return row, turn, n, seen, records and step count of what a turn writes."""
    seen = lot.held()
    n = seen.n + lot.of(-2, -1, 1, 2) if lot.chance(12) else seen.n
    knows = lot.random.randint(0, seen.seq) if lot.chance(15) else seen.seq
    return seen.row, lot.turn_of(seen), n, knows, lot.records(), seen.step_count + lot.number() % 2**53


def _commit(lot: Anything) -> Operation[Any]:
    status = lot.of("running", "waitingForPause", "rollingBack") if lot.chance(15) else None
    facts = (lot.chance(80), lot.chance(40), lot.chance(20))
    return ops.Commit(*_turn(lot), lot.now, *facts, status)


def _release(lot: Anything) -> Operation[Any]:
    row, turn, n, knows, records, step_count = _turn(lot)
    status = lot.of("waiting", "waiting", "paused", "running", "complete", "errored", "terminated")
    ended_at = lot.now if status in ("complete", "errored", "terminated") else None
    due_at = None if ended_at is not None or lot.chance(15) else lot.moment()
    last = codec.to_row(Waiting(lot.now)) if ended_at is None else lot.end(status)
    return ops.Release(row, turn, n, knows, [*records, last], step_count, status, due_at, ended_at, lot.now)


def _write_notes(lot: Anything) -> Operation[Any]:
    seen = lot.held()
    lines = [
        said.LogLine(lot.now, lot.of(None, *STEPS), lot.of(None, 1), lot.of("INFO", "error"), lot.text())
        for _ in range(lot.random.randint(0, 3))
    ]
    notes = [
        said.Note(lot.of("progress", "Progress", "\0"), lot.now, lot.value()) for _ in range(lot.random.randint(0, 2))
    ]
    log_n = seen.log_n + lot.of(-1, 1) if lot.chance(15) else seen.log_n
    return said.WriteNotes(seen.row, lot.turn_of(seen), log_n, lines, notes, lot.number(), lot.of(3, 1_000))


def _set_labels(lot: Anything) -> Operation[Any]:
    seen = lot.held()
    calls = lot.one(f"select labelled from instances where row = {seen.row}", 0)
    changes = {lot.random.choice(LABELS): lot.of(None, lot.label()) for _ in range(lot.of(0, 1, 2))}
    return labels.SetLabels(seen.row, lot.turn_of(seen), calls + (lot.of(0, 2) if lot.chance(15) else 1), changes)


def _search(lot: Anything) -> Operation[Any]:
    def maybe(value: Any) -> Any:
        return value if lot.chance(15) else None

    wanted = Wanted(
        statuses=tuple({lot.random.choice(STATUSES): None for _ in range(lot.of(0, 0, 0, 1, 2))}),
        labels={lot.random.choice(LABELS): lot.label() for _ in range(lot.of(0, 0, 0, 1, 2))},
        id_prefix=maybe(lot.random.choice(IDS)),
        version=maybe(lot.one("select id from versions", "none")),
        trigger=maybe(lot.of("api", "cron")),
        error_name=maybe(lot.of("ValueError", "valueerror")),
        error_text=maybe(lot.of("x", "X", "\0", "0", "\x1a", "😀", "%")),
        least_ms=maybe(lot.of(0, 20)),
        most_ms=maybe(lot.of(20, 2**62)),
        created_from=maybe(lot.now - 500),
        created_to=maybe(lot.now - 20),
        ended_from=maybe(lot.now - 500),
        ended_to=maybe(lot.now - 20),
    )
    account, workflow = lot.place()
    after = (lot.now - lot.random.randint(0, 500), lot.random.randint(0, 9)) if lot.chance(30) else None
    # Both look at everything, whatever the time.
    pages = (lot.of(1, 3, 100), after, lot.chance(50), 3_600_000)
    return SearchInstances(account, workflow if lot.chance(70) else None, wanted, lot.now, *pages)


def _read_history(lot: Anything) -> Operation[Any]:
    seen = lot.instance()
    return ops.ReadHistory(seen.row, lot.of(0, 0, 2, 99), lot.of(None, 0, 2), lot.of(None, lot.turn_of(seen)))


def _read_payload(lot: Anything) -> Operation[Any]:
    payload, seen = lot.one("select row from payloads", 99), lot.instance()
    row_and_turn = (seen.row, lot.turn_of(seen)) if lot.chance(50) else (None, None)
    return ops.ReadPayload(payload, *row_and_turn)


# ---- jobs


def _start_job(lot: Anything) -> Operation[Any]:
    account, workflow = lot.place()
    statuses = tuple({lot.random.choice(STATUSES): None for _ in range(lot.of(0, 0, 1, 3))})
    wanted = Wanted(statuses=statuses, error_text=lot.of(None, None, "\0 größe"))
    where = (lot.random.choice(jobs.VERBS), workflow if lot.chance(70) else None, wanted)
    return jobs.StartJob(account, lot.new_id(), *where, lot.now, lot.of("ann", "local"), lot.now - lot.of(100, 5_000))


def _job(lot: Anything) -> tuple[str, str]:
    found = lot.rows("select account, id from jobs order by account, id")
    return lot.random.choice(found) if found and lot.chance(85) else (lot.account(), "none")


def _advance_job(lot: Anything) -> Operation[Any]:
    account, id = _job(lot)
    found = lot.rows(f"select place_at, place_row from jobs where account = '{account}' and id = '{id}'")
    place = tuple(found[0]) if found and found[0][0] is not None else None
    seen = [lot.instance() for _ in range(lot.of(0, 1, 2, 4))]
    of_others = [one for one in seen if one.named[0] != account]
    changes = {one.row: jobs.JobChange(one.row, *one.named[1:]) for one in seen if one not in of_others}
    failures = tuple(jobs.JobFailure("orders", "größe", lot.text()) for _ in range(lot.of(0, 0, 0, 1)))
    to = None if lot.chance(15) else (lot.now, lot.random.randint(1, 9))
    place = place if lot.chance(85) else (1, 1)
    return jobs.AdvanceJob(account, id, place, to, [*changes.values()], lot.now, failures)


# ---- limits that steps share


def _ask_slot(lot: Anything) -> Operation[Any]:
    seen, limit = lot.held(), lot.of("desk", "desk", "Desk")
    return flows.AskSlot(seen.row, lot.turn_of(seen), lot.account(), limit, codec.to_step(lot.key()), lot.now)


def _leave_slot(lot: Anything) -> Operation[Any]:
    found = lot.rows(
        """
        select s.instance, i.turn, l.account, l.name, s.step
        from shared_slots as s
        join shared_limits as l on l.row = s.shared_limit
        join instances as i on i.row = s.instance
        order by s.instance, s.step
        """
    )
    if not found or lot.chance(10):
        return flows.LeaveSlot(99, 1, lot.account(), "desk", codec.to_step(lot.key()), lot.now)
    row, turn, account, limit, step = lot.random.choice(found)
    return flows.LeaveSlot(row, turn - lot.chance(15), account, limit, step, lot.now)


def _share_limit(lot: Anything) -> Operation[Any]:
    allows = ("concurrency", 1), ("concurrency", 2), ("rate", {"limit": 2, "period": 40})
    said = None if lot.chance(40) else msgspec.json.encode(dict([lot.random.choice(allows)])).decode()
    return flows.ShareLimit(lot.account(), lot.of("desk", "desk", "Desk", "none"), said, lot.now)


# ---- children


def _link(lot: Anything) -> children.ChildLink:
    seen = lot.held()
    return children.ChildLink(seen.row, lot.turn_of(seen), lot.of("go", "Go", "gone"), lot.chance(70))


def _await(lot: Anything) -> Operation[Any]:
    return children.AwaitChild(*lot.named(), _link(lot), lot.now)


# ---- streams


def _write_piece(lot: Anything) -> Operation[Any]:
    found = lot.rows("select instance, turn, row from streams")
    row, turn, stream = lot.random.choice(found) if found and lot.chance(90) else (99, 1, 99)
    return streams.WritePiece(row, turn, stream, lot.random.randint(1, 3), lot.text().encode() + b"\0\xff")


def _read_piece(lot: Anything) -> Operation[Any]:
    found = lot.rows("select s.instance, s.turn, s.row, p.n from streams as s join pieces as p on p.stream = s.row")
    row, turn, stream, n = lot.random.choice(found) if found and lot.chance(80) else (99, 1, lot.of(1, 99), 1)
    return streams.ReadPiece(stream, n, *((row, turn) if lot.chance(50) else (None, None)))


def _begin_stream(lot: Anything) -> Operation[Any]:
    seen = lot.held()
    return streams.BeginStream(seen.row, lot.turn_of(seen), lot.random.choice(STEPS), lot.random.randint(1, 3))


# ---- schedules


def _schedule(lot: Anything) -> tuple[str, str, str]:
    found = lot.rows("select w.account, w.name, s.cron from schedules as s join workflows as w on w.row = s.workflow")
    if not found or lot.chance(10):
        return (*lot.place(), "* * * * *")
    account, name, cron = lot.random.choice(found)
    return str(account), str(name), str(cron)


def _change_schedule(lot: Anything) -> Operation[Any]:
    said = (lot.of(None, True, False, False), lot.of(None, "allow", "skip", "cancel"))
    return schedules.ChangeSchedule(*_schedule(lot), lot.now, *said, lot.of(None, "UTC", "Europe/Berlin"))


def _run_schedule(lot: Anything) -> Operation[Any]:
    return schedules.RunSchedule(*_schedule(lot), lot.random.choice(IDS) if lot.chance(50) else lot.new_id(), lot.now)


def _fire(lot: Anything) -> Operation[Any]:
    later = lot.of(0, 0, 60_000, 3_600_000, 10 * 86_400_000)
    # One alone: an id that is taken leaves a row number out, which the next one would show.
    return schedules.FireSchedules(lot.now + later, lot.of(0, 86_400_000, 2**40), 1)


# ---- snapshots


def _save(lot: Anything) -> Operation[Any]:
    paths = ["a.py", "A.py", "ä.py", "b/\U0001f600.py", "b.py", "b\x1a.py", "b/c.py"]
    files = [
        snapshots.SnapshotFile(path, lot.text().encode())
        for path in lot.random.sample(paths, lot.random.randint(0, len(paths)))
    ]
    said = (lot.now + lot.of(0, 20, 10_000), lot.of("", "shop", "Shop"), lot.of("{}", '{"a":1}'))
    return snapshots.SaveSnapshot(lot.account(), lot.of("aa", "bb", "cc"), "src", "3.11", "{}", files, lot.now, *said)


def _drop(lot: Anything) -> Operation[Any]:
    unserved = lot.one("select row from snapshots where served_at = 0", 0)
    return snapshots.DropSnapshots(lot.now + lot.of(0, 0, 20_000), lot.of(0, unserved, lot.snapshot()))


# ---- accounts


def _change_account(lot: Anything) -> Operation[Any]:
    changes = accounts.AccountSettings(_kept(lot), _kept(lot))
    return accounts.ChangeAccountSettings(lot.account(), changes)


def _triggers(lot: Anything) -> tuple[str, str, list[accounts.Trigger]]:
    """Return account, script and triggers."""
    account, name = lot.place()
    found = lot.rows("select account, name, script from workflows")
    target = lot.random.choice(found) if found and lot.chance(85) else (account, name, "none")
    targets = [accounts.TriggerTarget(type="workflow", workflow_name=str(target[1]), script_name=str(target[2]))]
    meant = [None, accounts.TriggerFilter(namespace="ä\0"), accounts.TriggerFilter(repo_name="\U0001f600")]
    triggers = [
        accounts.Trigger(type=lot.of("push", "Push"), filter=lot.random.choice(meant), targets=targets)
        for _ in range(lot.of(1, 1, 2, 60))
    ]
    return str(target[0]), lot.random.choice(SCRIPTS), triggers


def _token(lot: Anything) -> Operation[Any]:
    permissions = lot.few(["read", "write"]) or ["read"]
    email = lot.of(None, "Ä@b.example")
    row = tokens.TokenRow(
        lot.new_id(), lot.account(), lot.text(), "hash", email, permissions, lot.now, lot.of(None, 2**62)
    )
    return tokens.AddToken(row)


def _session(lot: Anything) -> Operation[Any]:
    row = sessions.SessionRow(lot.new_id(), lot.account(), _token_id(lot), "hash", lot.now, lot.now)
    return sessions.BeginSession(row.account, row, lot.of(None, _session_id(lot)))


def _session_id(lot: Anything) -> str:
    return str(lot.one("select id from sessions", "none"))


# ---- instances that go out and come in


def _coming(lot: Anything) -> tuple[int, int]:
    """Return the row of an instance that is coming in, and how many records have come; 0 and 0: none is coming."""
    row = lot.one("select row from instances where workflow = -1", 0)
    return row, lot.rows(f"select count(*) from records where instance = {row}")[0][0]


def _import_records(lot: Anything) -> Operation[Any]:
    row, count = _coming(lot)
    drawn = lot.records() if row else []
    placed = [msgspec.structs.replace(record, seq=seq) for seq, record in enumerate(drawn, count + 1)]
    return transfers.ImportRecords(row, [transfers.PlacedRecord(lot.of(0, 1), lot.of(0, 2), one) for one in placed])


def _import_notes(lot: Anything) -> Operation[Any]:
    row, _ = _coming(lot)
    last = lot.rows(f"select coalesce(max(n), 0) from log_lines where instance = {row}")[0][0]
    lines = [said.LogLine(lot.now, lot.of(None, *STEPS), None, "INFO", lot.text(), last + 1)] if row else []
    return transfers.ImportNotes(row, lines, [said.Note(lot.new_id(), lot.now, lot.value())] if row else [])


def _finish_import(lot: Anything) -> Operation[Any]:
    row, count = _coming(lot)
    version, script = lot.one("select id from versions", "none"), lot.random.choice(SCRIPTS)
    is_held = lot.chance(30)
    facts = transfers.InstanceFacts(
        version=version if lot.chance(50) else "none",
        sha256=lot.of("aa", "bb", "none"),
        script=script,
        class_name=lot.random.choice(CLASSES),
        trigger="api",
        # One that has ended would need the record of its end.
        status="waiting",
        step_count=lot.number(),
        seq=count + lot.chance(15),
        turn=1,
        due_at=None if is_held else lot.of(None, lot.moment()),
        is_held=is_held,
        lost_turns=lot.of(0, 1),
        logged=0,
        log_n=9,
        created_at=lot.now,
        modified_at=lot.now,
        started_at=lot.of(None, lot.now),
        ended_at=None,
        renewed_at=None,
        restarted_seq=0,
        has_rollbacks=lot.chance(30),
        success_retention_ms=_own(lot),
        labelled=lot.of(0, 2),
        labels=tuple(labels.KeptLabel(name, lot.of(None, "v"), lot.of("v", "w")) for name in {*lot.few(LABELS)}),
    )
    id = lot.random.choice(IDS) if lot.chance(50) else lot.new_id()
    return transfers.FinishImport(row, *lot.place(), id, facts)


def _begin_import(lot: Anything) -> Operation[Any]:
    id = lot.random.choice(IDS) if lot.chance(80) else lot.new_id()
    return transfers.BeginImport(*lot.place(), id, lot.new_id(), 1, lot.now)


def _of_place(kind: Callable[..., Operation[Any]], *more: Callable[[Anything], Any]) -> Callable[[Anything], Any]:
    return lambda lot: kind(*lot.place(), *(draw(lot) for draw in more))


def _of_row(kind: Callable[..., Operation[Any]], *more: Callable[[Anything], Any]) -> Callable[[Anything], Any]:
    return lambda lot: kind(lot.instance().row, *(draw(lot) for draw in more))


def _repair(lot: Anything) -> Operation[Any]:
    row = lot.instance()
    seq = row.seq - lot.of(0, 0, 0, 1)
    told = (lot.of(0, 3), lot.of(None, lot.now), lot.of(None, lot.now))
    return upkeep.RepairInstance(row.row, row.turn, seq, *told, lot.of(None, lot.now, lot.now + 50))


# ---- webhooks


def _add_webhook(lot: Anything) -> Operation[Any]:
    # Webhooks want workflows by names that there can be: PostgreSQL looks for them as they are, in the text of a list.
    wanted = ([name for name in lot.few(WORKFLOWS) if '"' not in name], lot.few([*webhooks.EVENTS]))
    about = (lot.account(), lot.new_id(), "https://example.com/größe", "whsec_YQ==")
    return webhooks.AddWebhook(*about, *wanted, lot.now, lot.of("ann", "größe"), lot.of(1, 3, 50))


def _webhook(lot: Anything) -> tuple[str, str]:
    found = lot.rows("select account, id from webhooks order by row")
    return lot.random.choice(found) if found and lot.chance(85) else (lot.account(), "none")


def _change_webhook(lot: Anything) -> Operation[Any]:
    wanted = (lot.of(None, [], ["orders"]), lot.of(None, [], ["errored", "queued"]))
    return webhooks.ChangeWebhook(
        *_webhook(lot), lot.now, lot.of(None, "http://b/"), *wanted, lot.of(None, True, False)
    )


def _list_deliveries(lot: Anything) -> Operation[Any]:
    outcome = lot.of(None, None, "pending", "delivered", "given_up")
    return webhooks.ListDeliveries(*_webhook(lot), lot.of(1, 100), lot.of(None, None, 7), outcome)


def _redeliver(lot: Anything) -> Operation[Any]:
    found = lot.rows("""
        select w.account, w.id, d.row
        from deliveries as d
        join webhooks as w on w.row = d.webhook
        order by d.row
        """)
    if not found or lot.chance(30):
        return webhooks.Redeliver(*_webhook(lot), 999_999, lot.now)
    account, id, row = lot.random.choice(found)
    return webhooks.Redeliver(account, id, row, lot.now)


def _take_deliveries(lot: Anything) -> Operation[Any]:
    fewer = {row: lot.of(0, 1) for (row,) in lot.rows("select row from webhooks order by row") if lot.chance(30)}
    return webhooks.TakeDeliveries(lot.now, lot.now + lot.of(10, 100), lot.of(1, 8), lot.of(2, 100), fewer)


def _end_attempt(lot: Anything) -> Operation[Any]:
    row, attempt = lot.random.choice(
        lot.rows("select row, attempts from deliveries where next_at is not null and attempts > 0 order by row")
        or [(999_999, 1)]
    )
    next_at, outcome = lot.of((lot.now + 5, None), (None, "delivered"), (None, "given_up"))
    status, problem = lot.of((200, None), (None, "größe"))
    of = (row, attempt - lot.of(0, 0, 0, 1), lot.now)
    return webhooks.EndAttempt(*of, status, problem, next_at, outcome, lot.chance(10))


def _forget_deliveries(lot: Anything) -> Operation[Any]:
    bounds = (lot.now - lot.of(500, 2_000), lot.now - lot.of(100, 1_000))
    return webhooks.ForgetDeliveries(lot.now, *bounds, lot.of(1, 500))


def _moment(lot: Anything) -> int:
    return lot.now


def _script(lot: Anything) -> str:
    return lot.random.choice([*SCRIPTS, "none"])


def _token_id(lot: Anything) -> str:
    return str(lot.one("select id from tokens", "none"))


Draw = Callable[[Anything], Operation[Any]]

_PLACE = flows.QueuePlace(1, "ann")
# How often, and how.
LOTS: dict[type[Operation[Any]], tuple[int, Draw]] = {
    ops.RegisterWorkflow: (8, _register_workflow),
    ops.GetParamsSchema: (2, _of_place(ops.GetParamsSchema)),
    ops.GetWorkflow: (2, _of_place(ops.GetWorkflow)),
    ops.ListWorkflows: (8, _list_workflows),
    ops.CreateInstance: (30, _create),
    ops.AppendEvent: (15, _event),
    ops.GetInstance: (8, _get_instance),
    ops.ListInstances: (8, _list_instances),
    ops.ReadPayload: (6, _read_payload),
    ops.RegisterWorker: (8, _register_worker),
    ops.RenewLease: (4, lambda lot: ops.RenewLease(lot.worker(), lot.now + lot.of(10, 60_000, 2**61))),
    ops.EndLease: (4, lambda lot: ops.EndLease(lot.worker())),
    ops.AbandonUnknown: (4, _abandon),
    ops.ListHoldings: (4, lambda lot: ops.ListHoldings(lot.worker(), lot.of(1, 100))),
    ops.ClaimDue: (35, _claim),
    ops.ReadHistory: (8, _read_history),
    ops.Commit: (60, _commit),
    ops.Release: (30, _release),
    said.WriteNotes: (10, _write_notes),
    labels.SetLabels: (10, _set_labels),
    labels.ReadLabels: (3, _of_row(labels.ReadLabels)),
    labels.ListKeptLabels: (3, _of_row(labels.ListKeptLabels)),
    SearchInstances: (25, _search),
    said.ReadNote: (3, _of_row(said.ReadNote, lambda lot: lot.of("progress", "Progress", "\0"))),
    said.ReadLog: (4, lambda lot: said.ReadLog(*lot.named(), lot.of(0, 2), lot.of(1, 100), lot.of(None, *STEPS))),
    accounts.GetAccountSettings: (2, lambda lot: accounts.GetAccountSettings(lot.account())),
    accounts.ChangeAccountSettings: (2, _change_account),
    flows.ListGates: (4, lambda lot: flows.ListGates(lot.account(), lot.of(None, *WORKFLOWS), lot.of(1, 50), 2)),
    flows.AskSlot: (8, _ask_slot),
    flows.LeaveSlot: (4, _leave_slot),
    flows.SweepSlots: (2, lambda lot: flows.SweepSlots(lot.now, lot.of(0, 0, 30))),
    flows.GiveSlots: (1, lambda lot: flows.GiveSlots(lot.now)),
    flows.ForgetLimits: (2, lambda lot: flows.ForgetLimits(lot.now)),
    flows.ForgetQueues: (2, lambda lot: flows.ForgetQueues(lot.now, lot.of(None, None, _PLACE), lot.of(1, 500))),
    flows.ShareLimit: (3, _share_limit),
    ListHosts: (2, lambda lot: ListHosts(lot.now, "acme" if lot.now % 2 else None, 100, lot.of(1, 100))),
    flows.LimitAccount: (1, lambda lot: flows.LimitAccount(lot.account(), lot.of(None, None, 1, 4), lot.now)),
    accounts.GetTriggers: (2, lambda lot: accounts.GetTriggers(lot.account(), _script(lot))),
    accounts.ReplaceTriggers: (3, lambda lot: accounts.ReplaceTriggers(*_triggers(lot), lot.now)),
    accounts.MergeTriggers: (4, lambda lot: accounts.MergeTriggers(*_triggers(lot), lot.now)),
    accounts.DeleteTriggers: (1, lambda lot: accounts.DeleteTriggers(lot.account(), _script(lot))),
    children.StartChild: (15, lambda lot: children.StartChild(_create(lot), _link(lot))),
    children.AwaitChild: (12, _await),
    children.ListRelatives: (6, _of_row(children.ListRelatives, lambda lot: lot.of(1, 100))),
    children.ReadFamily: (6, _of_row(children.ReadFamily, lambda lot: lot.of(2, 100))),
    control.PauseInstance: (8, _pause),
    control.ResumeInstance: (8, lambda lot: control.ResumeInstance(*lot.named(), codec.to_row(Resumed(lot.now)))),
    control.TerminateInstance: (6, _terminate),
    control.ResumeRollback: (4, _resume_rollback),
    control.RestartInstance: (8, _restart),
    control.MoveInstance: (5, _move),
    control.DeleteInstance: (4, lambda lot: control.DeleteInstance(*lot.named(), lot.now)),
    control.StartTermination: (3, _of_place(control.StartTermination, lambda lot: lot.few(STATUSES, 5))),
    control.TerminateSome: (4, _terminate_some),
    control.ListTerminations: (2, lambda lot: control.ListTerminations()),
    control.IsTerminating: (2, _of_place(control.IsTerminating)),
    jobs.StartJob: (3, _start_job),
    jobs.AdvanceJob: (8, _advance_job),
    jobs.CancelJob: (2, lambda lot: jobs.CancelJob(*_job(lot), lot.now)),
    jobs.GetJob: (2, lambda lot: jobs.GetJob(*_job(lot))),
    jobs.ListJobs: (2, lambda lot: jobs.ListJobs(lot.account(), lot.of(1, 100), lot.of(0, 0, 1))),
    jobs.ListOpenJobs: (2, lambda lot: jobs.ListOpenJobs()),
    ForceStep: (8, _force),
    ListDecisions: (3, _of_row(ListDecisions, lambda lot: lot.of(1, 100))),
    once.FindOnce: (8, _find_once),
    once.Once: (12, _once),
    audit.Audited: (10, _audited),
    audit.ListAudit: (4, _list_audit),
    facts.NoteFacts: (2, _note_facts),
    facts.ListFacts: (2, _list_facts),
    audit.ForgetAudit: (1, lambda lot: audit.ForgetAudit(lot.now - lot.of(100, 1_000), lot.of(1, 500))),
    webhooks.AddWebhook: (3, _add_webhook),
    webhooks.ListWebhooks: (2, lambda lot: webhooks.ListWebhooks(lot.account())),
    webhooks.GetWebhook: (2, lambda lot: webhooks.GetWebhook(*_webhook(lot))),
    webhooks.ChangeWebhook: (3, _change_webhook),
    webhooks.RotateWebhookSecret: (
        2,
        lambda lot: webhooks.RotateWebhookSecret(*_webhook(lot), "whsec_Yg==", lot.now + lot.of(0, 20, 9_999)),
    ),
    webhooks.DeleteWebhook: (2, lambda lot: webhooks.DeleteWebhook(*_webhook(lot), lot.now)),
    webhooks.TryWebhook: (2, lambda lot: webhooks.TryWebhook(*_webhook(lot), lot.now)),
    webhooks.ListDeliveries: (4, _list_deliveries),
    webhooks.Redeliver: (3, _redeliver),
    webhooks.AreDeliveriesDue: (3, lambda lot: webhooks.AreDeliveriesDue(lot.now)),
    webhooks.TakeDeliveries: (6, _take_deliveries),
    webhooks.EndAttempt: (6, _end_attempt),
    webhooks.ForgetDeliveries: (2, _forget_deliveries),
    retention.FindExpired: (6, lambda lot: retention.FindExpired(lot.now, *_told(lot))),
    retention.DeleteExpired: (5, _delete_expired),
    retention.GetRetention: (6, lambda lot: retention.GetRetention(*lot.named(), *_told(lot))),
    ReadSituation: (6, lambda lot: ReadSituation(*lot.named(), lot.now, lot.of(1, 1_000))),
    schedules.ListSchedules: (
        4,
        lambda lot: schedules.ListSchedules(
            lot.account(), lot.of(1, 100), lot.of(0, 0, 1), lot.of(None, lot.random.choice(WORKFLOWS))
        ),
    ),
    schedules.GetSchedule: (3, lambda lot: schedules.GetSchedule(*_schedule(lot))),
    schedules.ChangeSchedule: (8, _change_schedule),
    schedules.RunSchedule: (6, _run_schedule),
    schedules.FireSchedules: (10, _fire),
    snapshots.SaveSnapshot: (3, _save),
    snapshots.DropSnapshots: (2, _drop),
    snapshots.GetSnapshot: (2, lambda lot: snapshots.GetSnapshot(lot.one("select row from snapshots", 9))),
    snapshots.FindServed: (2, lambda lot: snapshots.FindServed(lot.account(), lot.of(0, lot.snapshot()))),
    snapshots.ListServed: (1, lambda lot: snapshots.ListServed(lot.account(), lot.of(1, 9), lot.of("", "shop"))),
    snapshots.ListUploads: (
        2,
        lambda lot: snapshots.ListUploads(lot.account(), lot.of("shop", "Shop"), lot.of(1, 9), lot.of("", "a", "bb")),
    ),
    snapshots.ReadSnapshotFiles: (2, lambda lot: snapshots.ReadSnapshotFiles(lot.one("select row from snapshots", 9))),
    snapshots.ReadSnapshotSources: (
        2,
        lambda lot: snapshots.ReadSnapshotSources(
            lot.one("select row from snapshots", 9), lot.of("", "b/"), lot.of(0, 9, 9_999)
        ),
    ),
    snapshots.ServeSnapshot: (3, _serve_snapshot),
    snapshots.ListSnapshotsDue: (3, lambda lot: snapshots.ListSnapshotsDue(lot.account(), lot.snapshot(), lot.now)),
    streams.BeginStream: (8, _begin_stream),
    streams.WritePiece: (10, _write_piece),
    streams.ReadPiece: (6, _read_piece),
    tokens.AddToken: (2, _token),
    sessions.BeginSession: (2, _session),
    sessions.FindSession: (2, lambda lot: sessions.FindSession(_session_id(lot))),
    sessions.ListSessions: (1, lambda lot: sessions.ListSessions()),
    sessions.SeeSession: (1, lambda lot: sessions.SeeSession(_session_id(lot), lot.now)),
    sessions.EndSessions: (
        1,
        lambda lot: sessions.EndSessions(lot.account(), _token_id(lot), lot.of(None, _session_id(lot))),
    ),
    sessions.ForgetSessions: (
        1,
        lambda lot: sessions.ForgetSessions(lot.now - lot.of(100, 1_000), lot.now - lot.of(100, 1_000)),
    ),
    tokens.FindToken: (2, lambda lot: tokens.FindToken(_token_id(lot))),
    tokens.ListTokens: (1, lambda lot: tokens.ListTokens()),
    tokens.RevokeToken: (2, lambda lot: tokens.RevokeToken(_token_id(lot), lot.now)),
    traces.TakeTraces: (
        6,
        lambda lot: traces.TakeTraces(lot.now, lot.now + lot.of(0, 5, 50_000), lot.now + 10**9, lot.of(0, 1, 3, 100)),
    ),
    traces.ReadEnded: (3, lambda lot: traces.ReadEnded([lot.instance().row for _ in range(lot.of(0, 1, 4))])),
    traces.DropTraces: (3, lambda lot: traces.DropTraces([lot.instance().row for _ in range(lot.of(1, 2))])),
    upkeep.ListAccounts: (1, lambda lot: upkeep.ListAccounts()),
    upkeep.FindMiscounts: (3, lambda lot: upkeep.FindMiscounts()),
    upkeep.Recount: (2, lambda lot: upkeep.Recount(lot.now)),
    upkeep.RepairInstance: (4, _repair),
    Reencrypt: (1, lambda lot: Reencrypt("notes", [])),
    NoteBlocked: (
        3,
        lambda lot: NoteBlocked(lot.worker(), lot.of(None, lot.now), lot.of(None, lot.text())),
    ),
    transfers.TellExport: (1, lambda lot: transfers.TellExport(*lot.named())),
    transfers.ExportInstance: (4, lambda lot: transfers.ExportInstance(*lot.named())),
    transfers.ReadRecords: (
        4,
        _of_row(transfers.ReadRecords, lambda lot: lot.of(0, 0, 2), lambda lot: lot.of(1, 3, 99)),
    ),
    transfers.ListStreams: (3, _of_row(transfers.ListStreams)),
    transfers.ReadNotes: (3, _of_row(transfers.ReadNotes)),
    transfers.BeginImport: (8, _begin_import),
    transfers.ImportRecords: (8, _import_records),
    transfers.ImportNotes: (4, _import_notes),
    transfers.FinishImport: (14, _finish_import),
    transfers.AbandonImport: (2, lambda lot: transfers.AbandonImport(_coming(lot)[0])),
    workflows.PutWorkflow: (10, _put_workflow),
    workflows.DeleteWorkflow: (2, _of_place(workflows.DeleteWorkflow, _moment)),
    workflows.PurgeDeleted: (3, _purge),
    workflows.GetVersion: (3, _of_version(workflows.GetVersion)),
    workflows.GetGraph: (2, _of_version(workflows.GetGraph)),
    workflows.GetVersionCode: (2, _of_version(workflows.GetVersionCode)),
    workflows.CountEnds: (
        1,
        lambda lot: workflows.CountEnds(lot.account(), [*WORKFLOWS], lot.now - 5_000, lot.of(1, 1_000), lot.of(1, 99)),
    ),
    workflows.ListOutcomes: (3, lambda lot: workflows.ListOutcomes(lot.account(), [*WORKFLOWS], lot.of(1, 24))),
    workflows.ListVersions: (
        3,
        _of_place(workflows.ListVersions, lambda lot: lot.of(1, 100), lambda lot: lot.of(0, 1)),
    ),
}


# So that most of what follows meets something.
_BEGINNING = [ops.RegisterWorkflow, ops.RegisterWorkflow, ops.RegisterWorker, ops.RegisterWorker, ops.CreateInstance]


class Lots:
    """Draws steps for a store, one after the other."""

    def __init__(self, seed: int, connection: Connection, *, with_limits: bool = True) -> None:
        """`with_limits`: workflows may have limits: then it is seen which operations are one batch."""
        self._with_limits = with_limits
        self._lot = Anything(Random(seed), connection)
        self._kinds = list(LOTS)
        self._weights = [LOTS[kind][0] for kind in self._kinds]
        self._done: list[Operation[Any]] = []
        self._next = list(reversed(_BEGINNING))

    def step(self) -> Step:
        """Draw a step for the store as it is: mostly one operation, and sometimes a batch that writes."""
        lot = self._lot
        lot.now += lot.of(1, 1, 1, 2, 5, 30)
        first = self._operation()
        if type(first) in READS or type(first) in _ALONE or lot.chance(70):
            return (first,)
        batch = [first, *(self._operation() for _ in range(lot.random.randint(1, 6)))]
        writes = [_unbounded(one) for one in _in_a_row(batch) if type(one) not in READS and type(one) not in _ALONE]
        # A creation that is refused leaves row numbers out, and the next one in the same batch would show that.
        last = max((place for place, one in enumerate(writes) if isinstance(one, CREATIONS)), default=None)
        return tuple(one for place, one in enumerate(writes) if place == last or not isinstance(one, CREATIONS))

    def _operation(self) -> Operation[Any]:
        lot = self._lot
        if lot.chance(4) and self._done:
            # What a bounded part takes was drawn for the store as it was then.
            return _unbounded(lot.random.choice(self._done))
        (kind,) = lot.random.choices(self._kinds, self._weights)
        operation = LOTS[kind][1](lot)
        if not self._with_limits:
            operation = _without_limits(operation)
        if kind not in NEVER_TWICE:
            self._done.append(operation)
        return operation


def _without_limits(operation: Operation[Any]) -> Operation[Any]:
    match operation:
        case ops.RegisterWorkflow():
            declared = msgspec.structs.replace(operation.declared, concurrency=None)
            return msgspec.structs.replace(operation, flow=None, declared=declared)
        case snapshots.ServeSnapshot():
            made = tuple(_without_limits(workflow) for workflow in operation.workflows)
            return msgspec.structs.replace(operation, workflows=made)
        case workflows.PutWorkflow():
            settings = msgspec.structs.replace(operation.settings, concurrency=None)
            return msgspec.structs.replace(operation, settings=settings)
        case flows.LimitAccount():
            return msgspec.structs.replace(operation, concurrency=None)
        case _:
            return operation


def _in_a_row(batch: list[Operation[Any]]) -> Iterator[Operation[Any]]:
    """Yield operations of a batch; what a turn writes comes after what it has written in the same batch."""
    before: dict[tuple[int, int], ops.Commit] = {}
    for drawn in batch:
        operation = drawn
        if isinstance(drawn, ops.Commit | ops.Release) and (last := before.get((drawn.row, drawn.turn))):
            count = len(last.records)
            operation = msgspec.structs.replace(drawn, n=last.n + count, seen=last.seen + count)
        if isinstance(operation, ops.Commit):
            before[operation.row, operation.turn] = operation
        yield operation


def _unbounded(operation: Operation[Any]) -> Operation[Any]:
    """Take all of what a bounded part of would be drawn for the store as it was before the batch."""
    match operation:
        case ops.ClaimDue() | control.TerminateSome():
            return msgspec.structs.replace(operation, limit=1_000)
        case workflows.PurgeDeleted():
            return workflows.PurgeDeleted()
        case _:
            return operation
