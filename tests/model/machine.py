"""The machine: each operation is asked of an engine on each store and of the oracle, and their answers are compared."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from stepwell import reasons, schedules
from stepwell.control import FromStep
from stepwell.core.failures import Failure
from stepwell.core.records import Action
from stepwell.core.stepview import StepQuery
from stepwell.engine import WorkflowPut, check_id
from stepwell.errors import StepwellError
from stepwell.flow import SharedLimit
from stepwell.forcing import Decision
from stepwell.forks import Fork, Forks
from stepwell.moves import Moves
from stepwell.places import Layouts
from stepwell.rehearsals import Trying
from stepwell.scripts import workflow_name
from stepwell.store.account_operations import AccountSettings
from stepwell.testing import ACCOUNT
from stepwell.tokens import Permission
from tests import postgres
from tests.model import forms, snapshot
from tests.model.account import Declared, Search, Version, Wish
from tests.model.instance import ACTIONS, CHILDREN, FORCED, PROGRAMS, Instance, Kept, begin_of, step_of, types_of
from tests.model.lot import (
    CRON,
    LATE,
    MADE_OF,
    Place,
    kept,
    keys,
    labels,
    names,
    operation,
    operations,
    params_of,
    places,
    programs,
    searches_for,
)
from tests.model.oracle import MINUTE_MS, UNFINISHED, Account
from tests.model.refusals import Refused
from tests.model.sides import CLASSES, ELSEWHERE, IDS, MOST, Side, both_sides, sqlite_side
from tests.model.snapshot import SCRIPT
from tests.store.difference import comparable, differing_tables, miscounted

# How often each operation was done, and refused with which error.
told: Counter[tuple[str, str]] = Counter()

# A snapshot is taken after so many operations, as it takes longer than they do.
LOOK_EVERY = 4

# Of every instance that can be found: reads of an engine would take longer, and are compared in each snapshot.
_STATUSES = """
    select w.name, i.id, i.status
    from workflows as w
    join instances as i on i.workflow = w.row
    """


# The workflow of the children, the oldest first.
_CHILDREN = """
    select i.id
    from workflows as w
    join instances as i on i.workflow = w.row
    where w.name = 'errand'
    order by i.row
    """


class AccountMachine(RuleBasedStateMachine):
    """Does the same to engines and to the oracle, and compares. `stores` None: on SQLite alone."""

    stores: ClassVar[postgres.Stores | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.asked = 0
        # Whether the last operation was done.
        self._is_done = False
        # The instance of each place that has a gate.
        self.gated: dict[Place, int] = {}
        self.sides = [sqlite_side()] if self.stores is None else [*both_sides(self.stores)]
        for side in self.sides:
            self.runner.run(side.open())
        self.oracle = Account(self.sides[0].test.clock.now(), lambda: str(IDS.make()), MOST)
        for name in (*map(workflow_name, CLASSES), "foreign"):
            version = self.runner.run(self.sides[0].engine.workflow(ACCOUNT, name)).version
            declared = MADE_OF[name][1] if name in MADE_OF else Declared()
            self.oracle.put_workflow(name, declared, Version(version), (CRON,) if name == "hourly" else ())

        self.oracle.workflows["foreign"].script = ELSEWHERE

    @initialize(first=st.lists(programs, min_size=5, max_size=5))
    def begin(self, first: list[str]) -> None:
        """Begin with some instances."""
        there = (("plain", "a"), ("plain", "b"), ("narrow", "a"), ("narrow", "b"), ("narrow", "c"))
        for where, program in zip(there, first, strict=True):
            self.create(where, program, Kept(), (), None, 9)

    @rule(asked=st.deferred(operations))
    def do(self, asked: tuple[str, dict[str, Any]]) -> None:
        """Do an operation."""
        name, drawn = asked
        if "where" in drawn:
            drawn = {**drawn, "where": self._resolved(drawn["where"])}
        getattr(self, name)(**drawn)

    # ---- instances

    @operation(4, where=places, program=programs, kept=kept, labels=labels, key=keys, how=st.integers(0, 9))
    def create(  # noqa: PLR0917 - all that can be said of an instance
        self, where: Place, program: str, kept: Kept, labels: tuple[tuple[str, str], ...], key: str | None, how: int
    ) -> None:
        """Create an instance: now and then one without an id, or with one that none can have."""
        name, id = where
        program = self._program_for(program, 1)
        wish = Wish({0: None, 1: "a!"}.get(how, id), params_of(name, id, program), kept, labels)
        sent = forms.sent(key, "create", where, program)
        self._ask(
            "create",
            lambda: self.oracle.create(name, wish, sent),
            lambda side: side.engine.create(ACCOUNT, name, forms.new_instance(wish), forms.as_key(sent)),
            lambda row: row.id,
        )

    @operation(4, name=names, ids=st.lists(st.sampled_from("abcdef!"), min_size=1, max_size=6), program=programs)
    def create_batch(self, name: str, ids: list[str], program: str) -> None:
        """Create instances."""
        program = self._program_for(program, len(ids))
        wishes = [Wish("a!" if id == "!" else id, params_of(name, id, program)) for id in ids]
        self._ask(
            "create_batch",
            lambda: self.oracle.create_batch(name, wishes),
            lambda side: side.engine.create_batch(ACCOUNT, name, [forms.new_instance(wish) for wish in wishes]),
            lambda rows: [row.id for row in rows],
        )

    @operation(2, name=names)
    def create_in_a_row(self, name: str) -> None:
        """Create as many as may be in a second, and more, of which one comes when that is over."""
        self.take_breath()
        self.create_batch(name, [*"abcde"], "steps")
        self.create((name, "a"), "steps", Kept(), (), None, 9)
        self.create_batch(name, ["g"], "steps")
        self.control((name, "a"), "restart")
        self.take_breath()
        self.create((name, "f"), "steps", Kept(), (), None, 9)

    @operation(7, where=places, event_type=st.sampled_from(["go"] * 6 + ["other", "a.dot"]), key=keys)
    def send(self, where: Place, event_type: str, key: str | None) -> None:
        """Send an event, whose payload no other has."""
        payload = f"event {self.asked}" if key is None else "the same"
        sent = forms.sent(key, "send", where, event_type)
        self._ask(
            "send",
            lambda: self.oracle.send(*where, event_type, payload, sent),
            lambda side: side.engine.send_event(ACCOUNT, *where, event_type, f'"{payload}"', forms.as_key(sent)),
        )

    @operation(10, where=places, verb=st.sampled_from(["pause", "pause", "resume", "resume", "terminate", "restart"]))
    def control(self, where: Place, verb: str) -> None:
        """Pause, resume, terminate or restart an instance."""
        self._ask(
            verb,
            lambda: self.oracle.control(*where, verb),
            lambda side: getattr(side.engine.control, verb)(ACCOUNT, *where),
        )

    @operation(4, where=places, verb=st.sampled_from(["undo", "undo", "resume_rollback"]))
    def roll_back(self, where: Place, verb: str) -> None:
        """Terminate an instance once its steps are undone, or go on with a rollback that has failed."""

        async def asked(side: Side) -> str:
            if verb == "undo":
                return await side.engine.control.terminate(ACCOUNT, *where, rollback=True)
            return await side.engine.control.resume_rollback(ACCOUNT, *where)

        self._ask(verb, lambda: self.oracle.control(*where, verb), asked)

    @operation(4, where=places, is_open=st.booleans(), place=st.sampled_from([None, None, 1, 2, 3]))
    def undo_anew(self, where: Place, is_open: bool, place: int | None) -> None:
        """Let the steps of an instance be undone and, where that fails, go on with it when it can be done.

        Of one of which one step cannot be undone, if there is any.
        """
        where = next((each for each, instance in self._instances().items() if instance.has_hired), where)
        if place is not None:
            self.restart_from(where, place, 1)
        self.roll_back(where, "undo")
        self.advance(1)
        if is_open:
            self.open_gate(where)
        self.roll_back(where, "resume_rollback")
        self.advance(1)

    @operation(6, where=places, minutes=st.sampled_from([1, 5, 9]), payload=st.booleans())
    def rest(self, where: Place, minutes: int, payload: bool) -> None:
        """Pause an instance for a while, in which an event may come, and resume it."""
        self.control(where, "pause")
        self.advance(minutes)
        if payload:
            self.send(where, "go", None)
        self.control(where, "resume")

    @operation(4, where=places, place=st.integers(0, 3))
    def begin_anew(self, where: Place, place: int) -> None:
        """Restart an instance from a step when events have come, and let it go on."""
        self.send(where, "go", None)
        self.send(where, "go", None)
        self.restart_from(where, place, 1)
        self.open_gate(where)

    @operation(4, where=places, place=st.integers(0, 3), has_begun=st.integers(0, 3))
    def restart_from(self, where: Place, place: int, has_begun: int) -> None:
        """Restart an instance from a step, which now and then has not begun."""
        place = place % self._begun(where) if has_begun and self._begun(where) else place
        name, kind = begin_of(self._program(where), place)
        self._ask(
            "restart_from",
            lambda: self.oracle.restart_from(*where, place),
            lambda side: side.engine.control.restart(ACCOUNT, *where, FromStep(name, 1, kind)),
        )

    @operation(2, where=places)
    def delete(self, where: Place) -> None:
        """Delete an instance."""
        self._ask(
            "delete", lambda: self.oracle.delete(*where), lambda side: side.engine.control.delete(ACCOUNT, *where)
        )

    @operation(5, where=places, action=st.sampled_from(ACTIONS), is_current=st.integers(0, 3))
    def force(self, where: Place, action: str, is_current: int) -> None:
        """Decide by hand what becomes of a step, mostly of the one that the instance is at."""
        place = self._place(where) if is_current else 0
        program = self._program(where)
        name, kind = step_of(program, place)
        type = "sleep" if action == "skip" else types_of(kind) if kind != "sleep" or action == "retry" else "step"
        type = ("rollback" if self._is_rolled_back(where) else "step") if action == "retry" else type
        value = f"value {self.asked}"
        decision = Decision(
            f"{name}-1",
            Action(action),
            type,  # type: ignore[arg-type]  # one of the words
            f'"{value}"' if action == "complete" else None,
            Failure(*FORCED) if action == "fail" else None,
        )
        self._ask(
            "force",
            lambda: self.oracle.force(*where, action, place, value),
            lambda side: side.engine.forcing.force(ACCOUNT, *where, decision),
        )
        if self._is_done:
            self._ask("decisions", lambda: action, lambda side: forms.decision(side, *where))

    @operation(
        3, where=places, place=st.sampled_from([None, 0, 0, 1, 2]), new_id=st.sampled_from([None, "b", "d", "a!"])
    )
    def fork(self, where: Place, place: int | None, new_id: str | None) -> None:
        """Make a new instance from a step of another one."""
        if self._is_parent(where):
            return
        step = None if place is None else FromStep(*forms.split(begin_of(self._program(where), place)))

        async def asked(side: Side) -> str:
            check_id(new_id)
            return (await Forks(side.engine.store, side.engine.clock).fork(ACCOUNT, *where, Fork(step, new_id))).id

        self._ask("fork", lambda: self.oracle.fork(*where, place, new_id), asked)

    @operation(3, where=places, is_behind=st.booleans())
    def move(self, where: Place, is_behind: bool) -> None:
        """Move an instance to the newest version, as far as that goes without code that is kept."""
        name, id = where
        if is_behind and name in ("plain", "narrow", "keyed"):
            self.put_workflow(name, None, Kept(), 0)

        async def asked(side: Side) -> str | None:
            moves = Moves(side.engine.store, side.engine.clock, Trying(Layouts(Path())))
            return (await moves.move(ACCOUNT, name, [id], None, is_forced=True))[0].version_id

        self._ask("move", lambda: self.oracle.move(*where), asked)

    @operation(5, where=places)
    def open_gate(self, where: Place) -> None:
        """Let the step end that waits for it."""
        if where in self._instances():
            self._give_gates()
            self._instances()[where].is_open = True
            for side in self.sides:
                side.gates[where].set()
                self.runner.run(side.test.run_until_idle())
            self._settled()

    # ---- all of a workflow

    @operation(3, name=names, concurrency=st.sampled_from([None, None, 1, 5, 5]), kept=kept, crons=st.integers(0, 2))
    def put_workflow(self, name: str, concurrency: int | None, kept: Kept, crons: int) -> None:
        """Make a version of a workflow."""
        name = "made" if name == "nowhere" else name
        class_name, declared = MADE_OF[name]
        expressions = (CRON, LATE)[:crons] if name == "hourly" else ()
        put = WorkflowPut("tests", class_name, forms.settings(concurrency, kept, expressions))

        def expected() -> str:
            IDS.make()
            version = Version(str(IDS.make()), concurrency, kept)
            return self.oracle.put_workflow(name, declared, version, expressions).newest.id

        self._ask(
            "put_workflow",
            expected,
            lambda side: side.engine.put_workflow(ACCOUNT, name, put),
            lambda row: row.version,
        )

    @operation(3, name=st.sampled_from(["plain", "made", "made"]), script=st.sampled_from(["unknown", ELSEWHERE]))
    def put_wrongly(self, name: str, script: str) -> None:
        """Make a version of a class that is not known, or not this workflow's."""
        class_name = "Foreign"

        def expected() -> None:
            if script == ELSEWHERE and name in self.oracle.workflows:
                raise Refused("WorkflowBelongs")
            if script != ELSEWHERE:
                raise Refused("UnknownScript")
            self.oracle.put_workflow(name, Declared(), Version("its own"))
            self.oracle.delete_workflow(name)

        async def asked(side: Side) -> None:
            await side.engine.put_workflow(ACCOUNT, name, WorkflowPut(script, class_name))
            await side.engine.delete_workflow(ACCOUNT, name)

        self._ask("put_wrongly", expected, asked)

    @operation(1, name=st.sampled_from([*["made", "nowhere"] * 4, "hourly", "plain", "narrow"]))
    def delete_workflow(self, name: str) -> None:
        """Delete a workflow."""
        self._ask(
            "delete_workflow",
            lambda: self.oracle.delete_workflow(name),
            lambda side: side.engine.delete_workflow(ACCOUNT, name),
        )

    @operation(1, name=names, statuses=st.sampled_from([UNFINISHED, UNFINISHED, ("waiting",), ("paused",)]))
    def terminate_all(self, name: str, statuses: Sequence[str]) -> None:
        """Terminate the instances of a workflow."""
        self._ask(
            "terminate_all",
            lambda: self.oracle.terminate_all(name, statuses),
            lambda side: side.engine.terminations.start(ACCOUNT, name, statuses),
        )

    @operation(
        3,
        name=st.one_of(st.none(), names),
        verb=st.sampled_from([*["pause", "resume", "restart"] * 2, "terminate", "delete"]),
        search=searches_for,
        key=keys,
    )
    def start_job(self, name: str | None, verb: Any, search: Search, key: str | None) -> None:
        """Change all instances that match."""
        if verb == "restart" and any(not job.has_ended for job in self.oracle.jobs.values()):
            # Two that wait for the same rate look for instances side by side.
            return
        sent = forms.sent(key, "job", name, verb, search)
        self._ask(
            "start_job",
            lambda: self.oracle.start_job(verb, name, search, sent),
            lambda side: side.engine.jobs.start(ACCOUNT, verb, name, forms.wanted(search), "ann", forms.as_key(sent)),
            lambda job: job.id,
        )

    # ---- schedules, limits, retention

    @operation(
        2,
        name=st.sampled_from(["hourly", "hourly", "hourly", "plain", "nowhere"]),
        paused=st.sampled_from([None, None, True, False]),
        overlap=st.sampled_from([None, "allow", "skip", "cancel"]),
    )
    def change_schedule(self, name: str, paused: bool | None, overlap: Any) -> None:
        """Pause or resume a schedule, or say what becomes of its firings."""
        changes = schedules.ScheduleChanges(paused, overlap)
        self._ask(
            "change_schedule",
            lambda: self.oracle.change_schedule(name, CRON, paused=paused, overlap=overlap).overlap,
            lambda side: schedules.change(side.engine, ACCOUNT, name, CRON, changes),
            lambda shown: shown.overlap,
        )

    @operation(3, overlap=st.sampled_from(["allow", "skip", "cancel"]))
    def overlap(self, overlap: str) -> None:
        """Let a schedule fire while an instance of it has not ended."""
        self.change_schedule("hourly", False, overlap)
        self.run_schedule("hourly")
        for name, id in [where for where in self._instances() if where[0] == "hourly"]:
            self.control((name, id), "pause")
        self.advance(6 * 60)

    @operation(1, name=st.sampled_from(["hourly", "hourly", "plain", "nowhere"]))
    def run_schedule(self, name: str) -> None:
        """Create an instance of a schedule."""
        self._ask(
            "run_schedule",
            lambda: self.oracle.run_schedule(name, CRON),
            lambda side: schedules.run_now(side.engine, ACCOUNT, name, CRON),
            lambda row: row.id,
        )

    @operation(2, concurrency=st.sampled_from([None, None, 1, 2]))
    def limit_account(self, concurrency: int | None) -> None:
        """Limit the account."""
        self._ask(
            "limit_account",
            lambda: self.oracle.limit_account(concurrency),
            lambda side: side.engine.limit_account(ACCOUNT, concurrency),
        )

    @operation(2, name=st.sampled_from(["desk", "phone"]), concurrency=st.sampled_from([None, 1]))
    def share_limit(self, name: str, concurrency: int | None) -> None:
        """Set a limit that steps share, or take it back."""
        limit = None if concurrency is None else SharedLimit(concurrency)
        self._ask(
            "share_limit",
            lambda: self.oracle.share_limit(name, concurrency),
            lambda side: side.engine.share_limit(ACCOUNT, name, limit),
        )

    @operation(3, permissions=st.sampled_from([[], list(Permission)]), minutes=st.sampled_from([None, 10]))
    def use_token(self, permissions: list[Permission], minutes: int | None) -> None:
        """Make a token, use it and the one before, and revoke that."""
        lifetime_ms = None if minutes is None else minutes * MINUTE_MS
        earlier = next(reversed(self.oracle.tokens), "0" * 16)
        secret = self.oracle.tokens[earlier].secret if earlier in self.oracle.tokens else "sw_none"
        self._ask(
            "create_token",
            lambda: self.oracle.create_token(permissions, lifetime_ms),
            lambda side: forms.tokens(side).create(ACCOUNT, permissions, lifetime_ms=lifetime_ms),
        )
        self._ask(
            "authenticate",
            lambda: self.oracle.authenticate(secret),
            lambda side: forms.tokens(side).authenticate(secret),
            lambda caller: caller.token,
        )
        self._ask("revoke", lambda: self.oracle.revoke(earlier), lambda side: forms.tokens(side).revoke(earlier))
        self._ask(
            "list_tokens",
            lambda: {id: token.is_revoked for id, token in self.oracle.tokens.items()},
            lambda side: forms.tokens(side).list(),
            lambda rows: {row.id: row.revoked_at is not None for row in rows},
        )

    @operation(
        3,
        verb=st.sampled_from(["replace_triggers", "merge_triggers", "delete_triggers"]),
        wanted=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["plain", "made", "foreign"])), max_size=2),
    )
    def change_triggers(self, verb: str, wanted: list[tuple[str, str]]) -> None:
        """Say which events start which workflows."""
        if verb == "delete_triggers":
            self._ask(
                verb,
                lambda: self.oracle.delete_triggers(SCRIPT),
                lambda side: side.engine.delete_triggers(ACCOUNT, SCRIPT),
            )
            return
        self._ask(
            verb,
            lambda: [*getattr(self.oracle, verb)(SCRIPT, wanted)],
            lambda side: getattr(side.engine, verb)(ACCOUNT, SCRIPT, forms.triggers(wanted)),
            lambda stored: [snapshot.triggers_of(each) for each in stored],
        )

    @operation(1, kept=kept)
    def retain(self, kept: Kept) -> None:
        """Say how long the account keeps what has ended."""
        changes = AccountSettings(kept.success_ms, kept.error_ms)
        self._ask(
            "retain",
            lambda: (self.oracle.retain(kept).success_ms, self.oracle.kept.error_ms),
            lambda side: side.engine.change_account_settings(ACCOUNT, changes),
            lambda found: (found.success_retention_ms, found.error_retention_ms),
        )

    # ---- reads

    @operation(4, where=places, place=st.integers(0, 3))
    def look_at(self, where: Place, place: int) -> None:
        """Read an instance, all that can be read of it, and one of its steps."""
        step, kind = step_of(self._program(where), place)
        query = StepQuery(f"{step}-1", "waitForEvent" if kind == "waitForEvent" else "step", None)
        self._ask(
            "get",
            lambda: self.oracle.find(*where).status,
            lambda side: side.engine.get(ACCOUNT, *where, with_steps=False),
            lambda view: view.row.status,
        )
        self._ask(
            "why",
            lambda: self.oracle.find(*where).status,
            lambda side: reasons.explain(side.engine, ACCOUNT, *where),
            lambda why: why.status,
        )
        self._ask(
            "step",
            lambda: self.oracle.step(*where, f"{step}-1", query.type),
            lambda side: forms.step(side, *where, query),
        )
        self._ask(
            "get_if_changed",
            lambda: self.oracle.find(*where) is not None,
            lambda side: forms.is_as_known(side, *where),
        )
        self._ask(
            "log",
            lambda: self.oracle.find(*where).status,
            lambda side: side.engine.log(ACCOUNT, *where, 0, 10),
            lambda page: page.status,
        )
        self._ask("family", lambda: self.oracle.family(*where), lambda side: forms.family(side, *where))
        self._ask(
            "subscribe",
            lambda: self.oracle.last_notice(*where),
            lambda side: forms.notices(side, *where),
            lambda types: ("workflow_queued", None) if types[-1] != "over" else (types[0], types[-2]),
        )

    @operation(2, name=names)
    def look_at_workflow(self, name: str) -> None:
        """Read a workflow, and all that can be read of it."""
        self._ask(
            "workflow",
            lambda: self.oracle.counts(name),
            lambda side: side.engine.workflow(ACCOUNT, name),
            lambda row: {status: count for status, count in row.counts.items() if count},
        )
        self._ask(
            "versions",
            lambda: self.oracle.version_ids(name),
            lambda side: side.engine.versions(ACCOUNT, name, limit=1_000),
            lambda versions: [version.id for version in versions.rows],
        )
        self._ask(
            "limits",
            lambda: self.oracle.queues(name),
            lambda side: side.engine.limits(ACCOUNT, name),
            lambda gates: {
                queue.key: (queue.held, queue.queued)
                for gate in gates.gates
                for queue in gate.queues
                if queue.held or queue.queued
            },
        )
        self._ask(
            "is_terminating",
            lambda: self.oracle.version_ids(name) == [],
            lambda side: side.engine.terminations.is_running(ACCOUNT, name),
        )
        self._ask(
            "schedule",
            lambda: self.oracle.schedule(name, CRON).skipped,
            lambda side: schedules.get(side.engine, ACCOUNT, name, CRON),
            lambda shown: shown.skipped,
        )
        self._ask(
            "schedules",
            lambda: len(self.oracle.workflows[name].schedules) if name in self.oracle.workflows else 0,
            lambda side: schedules.page(side.engine, ACCOUNT, limit=1, workflow=name),
            lambda page: page[1],
        )

    @operation(2, name=names, status=st.sampled_from([None, "queued", "waiting", "complete"]), ascending=st.booleans())
    def read_list(self, name: str, status: str | None, ascending: bool) -> None:
        """Read a list, page by page."""
        self._ask(
            "list",
            lambda: self.oracle.ids(name, status, ascending=ascending),
            lambda side: snapshot.pages(side.engine, name, status, ascending=ascending),
        )

    @operation(2, name=st.one_of(st.none(), names), search=searches_for)
    def search(self, name: str | None, search: Search) -> None:
        """Search for instances, page by page."""
        self._ask(
            "search",
            lambda: [each.id for each in self.oracle.search(name, search)],
            lambda side: forms.found(side, name, forms.wanted(search)),
        )

    @operation(2, name=names, which=st.integers(0, 2))
    def version(self, name: str, which: int) -> None:
        """Read a version."""
        known = self.oracle.workflows.get(name)
        id = known.versions[which % len(known.versions)].id if known is not None and which else "none"
        self._ask(
            "version",
            lambda: self.oracle.version(name, id).id,
            lambda side: side.engine.version(ACCOUNT, name, id),
            lambda row: row.id,
        )

    @operation(3, which=st.integers(0, 2))
    def job(self, which: int) -> None:
        """Read a job, and cancel it."""
        id = next(reversed(self.oracle.jobs), "none") if which else "none"
        for verb, expected in (("get", self.oracle.job), ("cancel", self.oracle.cancel_job)):
            self._ask(
                f"{verb}_job",
                lambda expected=expected: (expected(id).changed, self.oracle.job(id).has_ended),  # type: ignore[misc]  # bound now
                forms.of_job(verb, id),
                lambda job: (job.done, job.ended_at is not None),
            )

    # ---- time and workers

    @operation(7, minutes=st.sampled_from([1, 5, 5, 10, 10, 30, 6 * 60, 25 * 60]))
    def advance(self, minutes: int) -> None:
        """Let time go by."""
        self._advance(minutes * MINUTE_MS)

    @operation(4)
    def take_breath(self) -> None:
        """Let so much time go by that instances may be created again."""
        self._advance(1_000)

    def _advance(self, ms: int) -> None:
        # With a worker if it is one that finds who may begin then.
        if self.oracle.waits_for_a_rate():
            self.crash_or_start(is_crash=False)
        for side in self.sides:
            self.runner.run(side.test.advance(ms))
        self.oracle.advance(ms)
        self._settled()

    @operation(5, is_crash=st.sampled_from([True, False, False]))
    def crash_or_start(self, is_crash: bool) -> None:
        """Let the worker die, or another one be started where it has."""
        if is_crash is not self.oracle.has_worker:
            return
        for side in self.sides:
            self.runner.run(side.test.crash() if is_crash else side.test.start_worker())
            self.runner.run(side.test.run_until_idle())
        if is_crash:
            self.oracle.crash()
        else:
            self.oracle.start()
        self._settled()

    # ---- what has to be

    def _ask(
        self,
        name: str,
        expected: Callable[[], object],
        asked: Callable[[Side], Awaitable[Any]],
        seen: Callable[[Any], object] = lambda answer: answer,
    ) -> None:
        """Ask the oracle and all sides; compare what they answer, or the errors that they raise."""
        IDS.next_operation()
        try:
            wanted: tuple[object, ...] = ("done", expected())
        except Refused as refused:
            wanted = (refused.name, refused.code)
        self._give_gates()
        outcomes = [self.runner.run(_outcome(side, asked)) for side in self.sides]
        for side, outcome in zip(self.sides, outcomes, strict=True):
            if isinstance(outcome, StepwellError):
                got: tuple[object, ...] = (type(outcome).__name__, type(outcome).code)
            else:
                got = ("done", seen(outcome))
            if got != wanted:
                pytest.fail(f"{name}: {side.name}: {got}, the oracle: {wanted}")
        assert len({repr(comparable(outcome)) for outcome in outcomes}) == 1, outcomes
        told[name, str(wanted[0])] += 1
        self._is_done = wanted[0] == "done"
        self._settled()

    def _give_gates(self) -> None:
        """Give each new instance a gate of its own, on each side."""
        for target, instance in self._instances().items():
            if self.gated.get(target) != instance.row:
                self.gated[target] = instance.row
                for side in self.sides:
                    side.gates[target] = asyncio.Event()

    def _settled(self) -> None:
        """Compare where everything stands once nothing can happen any more."""
        self.oracle.settle()
        self._learn_children()
        expected = {target: instance.status for target, instance in self._instances().items()}
        for side in self.sides:
            _same({(name, id): status for name, id, status in side.look(_STATUSES)}, expected, side.name, "the oracle")
        self.asked += 1
        if self.asked % LOOK_EVERY == 0:
            self._look()

    def _learn_children(self) -> None:
        """Tell the oracle the ids of new children, which only the server can make; their params say whose they are."""
        known = {id for name, id in self._instances() if name == "errand"}
        found: dict[str, list[str]] = defaultdict(list)
        if unnamed := self.oracle.unnamed():
            for (id,) in self.sides[0].look(_CHILDREN):
                if id not in known:
                    read = self.sides[0].engine.get(ACCOUNT, "errand", id, with_steps=False)
                    found[self.runner.run(read).params].append(id)
        for child in unnamed:
            assert found[child.params], f"{child.params} has not been begun"
            self.oracle.name_child(child, found[child.params].pop(0))

    def _look(self) -> None:
        expected = snapshot.of_oracle(self.oracle)
        found = [self.runner.run(snapshot.whole(side.engine)) for side in self.sides]
        for side, each in zip(self.sides, found, strict=True):
            _same(snapshot.of_engine(each, self.oracle.now), expected, side.name, "the oracle")
            assert miscounted(side.look) == []
        if len(found) == 2:
            here, there = ({name: comparable(each) for name, each in one.items()} for one in found)
            _same(here, there, *(side.name for side in self.sides))
            assert differing_tables(*(side.look for side in self.sides)) == []

    def teardown(self) -> None:
        """Close everything."""
        for side in self.sides:
            self.runner.run(side.close())
        self.runner.close()

    # ---- what rules need to know

    def _instances(self) -> dict[Place, Instance]:
        workflows = self.oracle.workflows.items()
        return {(name, id): each for name, workflow in workflows for id, each in workflow.instances.items()}

    def _resolved(self, where: Place) -> Place:
        """Return a place whose id is named by whose child it is."""
        name, id = where
        if not id.startswith("of "):
            return where
        parent = self._instances().get((id[3:].split("/")[0], id[-1]))
        return name, "none" if parent is None or not parent.children else parent.children[-1].id

    def _program_for(self, program: str, count: int) -> str:
        """Return a program for new instances: of those with children there is one at most.

        Of two that are begun at a moment it is nobody's business whose child is the first.
        """
        is_free = count == 1 and not any(map(self._is_parent, self._instances()))
        return program if is_free or not CHILDREN.keys() & set(PROGRAMS[program]) else "steps"

    def _is_parent(self, where: Place) -> bool:
        return bool(CHILDREN.keys() & set(self._program(where)))

    def _is_rolled_back(self, where: Place) -> bool:
        instance = self._instances().get(where)
        return instance is not None and instance.status == "rollingBack"

    def _program(self, where: Place) -> tuple[str, ...]:
        instance = self._instances().get(where)
        return () if instance is None else instance.program

    def _begun(self, where: Place) -> int:
        instance = self._instances().get(where)
        return 0 if instance is None else instance.begun

    def _place(self, where: Place) -> int:
        instance = self._instances().get(where)
        return 0 if instance is None else instance.at


async def _outcome(side: Side, asked: Callable[[Side], Awaitable[Any]]) -> object:
    """Ask a side, and let everything happen that comes of it; return the answer, or the error."""
    IDS.begin()
    try:
        answer: object = await asked(side)
    except StepwellError as error:
        answer = error
    await side.test.run_until_idle()
    return answer


def _same(here: dict[Any, Any], there: dict[Any, Any], *names: str) -> None:
    """Compare what two know, and tell what differs."""
    if here != there:
        sides = zip(names, (here, there), strict=True)
        different = [key for key in {**here, **there} if here.get(key) != there.get(key)]
        pytest.fail("\n".join(f"{key}: {name}: {known.get(key)}" for name, known in sides for key in different))
