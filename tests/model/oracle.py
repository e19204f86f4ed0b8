"""A whole account in plain Python: what has to come of whatever is asked of an engine.

Written by what is documented and by Cloudflare's rules, not by the code: one list of instances for each workflow, and
loops over them. What it refuses it refuses before it has changed anything.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from tests.model.account import Declared, Done, Job, Rate, Schedule, Search, Token, Version, Wish, Workflow
from tests.model.instance import CHILDREN, FINAL, Instance, Kept, key_of, program_of, shown
from tests.model.refusals import Refused

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# A server's own, in tests.
KEPT_BY_SERVER = Kept(36_500 * DAY_MS, 36_500 * DAY_MS)
# Moments that a cron expression names, by its period: no other is used here.
PERIODS_MS = {"0 */6 * * *": DAY_MS // 4, "0 0 * * *": DAY_MS}
UNFINISHED = ("paused", "queued", "rollingBack", "running", "waiting", "waitingForPause")


class Account:
    """All that an account has. `id` tells which id the server makes next.

    `most` is how many instances of a workflow may be queued, and how many may be created in a second, in the account
    and of each workflow.
    """

    def __init__(self, now: int, id: Callable[[], str], most: tuple[int, int, int]) -> None:
        self.now = now
        self.has_worker = True
        self.concurrency: int | None = None
        self.kept = Kept()
        self.workflows: dict[str, Workflow] = {}
        self.jobs: dict[str, Job] = {}
        self.keys: dict[str, Done] = {}
        self.tokens: dict[str, Token] = {}
        # Limits that steps share, by name, and how many of them may run.
        self.shared: dict[str, int] = {}
        # By script, the type and the workflow of each.
        self.triggers: dict[str, list[tuple[str, str]]] = {}
        self._most_queued, of_account, of_workflow = most
        self._rate = Rate(of_account)
        self._rates: dict[str, Rate] = defaultdict(lambda: Rate(of_workflow))
        self._id = id
        self._rows = 0
        self._workflow_rows = 0

    # ---- workflows

    def put_workflow(self, name: str, declared: Declared, version: Version, crons: Sequence[str] = ()) -> Workflow:
        """Make a version of a workflow, which is new if there is none."""
        if version.concurrency is not None and self.concurrency is not None and version.concurrency > self.concurrency:
            raise Refused("InvalidInput")
        workflow = self.workflows.get(name)
        if workflow is None:
            self._workflow_rows += 1
            workflow = self.workflows[name] = Workflow(name, self._workflow_rows, declared, [version])
        else:
            workflow.versions.append(version)
        kept = workflow.schedules
        workflow.schedules = {cron: kept.get(cron) or Schedule(cron, self._next(cron)) for cron in sorted(crons)}
        self._set_gate(workflow)
        return workflow

    def delete_workflow(self, name: str) -> None:
        """Delete a workflow with all that it has."""
        gone = self._workflow(name)
        del self.workflows[name]
        for instance in gone.instances.values():
            instance.end_children(self.now)
        self.keys = {key: done for key, done in self.keys.items() if done.workflow != gone.row}

    def version(self, name: str, id: str) -> Version:
        """Return a version of a workflow."""
        for version in self._workflow(name).versions:
            if version.id == id:
                return version
        raise Refused("VersionNotFound")

    # ---- instances

    def create(self, name: str, wish: Wish, key: tuple[str, str] | None = None) -> str:
        """Create an instance; return its id."""
        if (done := self._done(key)) is not None:
            return str(done.answer)
        self._check(name, wish)
        self._count(name, 1)
        id = self._add(name, wish)
        self._keep(key, name, id)
        return id

    def create_batch(self, name: str, wishes: Sequence[Wish]) -> list[str]:
        """Create instances; return the ids of those that were, as taken ids are passed over."""
        for wish in wishes:
            self._check(name, wish)
        self._count(name, len(wishes))
        created = []
        first = {wish.id: wish for wish in reversed(wishes)}
        for wish in sorted(first.values(), key=wishes.index):
            try:
                created.append(self._add(name, wish))
            except Refused as refused:
                if refused.name != "InstanceAlreadyExists":
                    raise
        return created

    def find(self, name: str, id: str) -> Instance:
        """Return an instance."""
        return self._workflow(name).find(id)

    def step(self, name: str, id: str, step: str, type: str) -> tuple[bool, str | None]:
        """Return whether a step has ended, as those in flight do with their instance, and what its stream is."""
        instance = self.find(name, id)
        for label, kind, outcome in instance.log():
            if (label, kind) == (step, type):
                has_stream = step.startswith("pour") and bool(outcome)
                return outcome is not None or instance.is_final, shown(int(step[-3])) if has_stream else None
        raise Refused("StepNotFound")

    def family(self, name: str, id: str) -> tuple[list[str], list[str], list[str]]:
        """Return the ids of an instance and its children, of its parents, and of its children, if they are there."""
        instance = self.find(name, id)
        there = [each for _, each in self._all()]
        parents = [each.id for each in there if each is instance.parent]
        children = [each.id for each in instance.children if each in there]
        return [id, *children], parents, children

    def last_notice(self, name: str, id: str) -> tuple[str, str | None]:
        """Return the first and the last thing that a subscriber is told; None: there may be more."""
        instance = self.find(name, id)
        last = {"complete": "completed"}.get(instance.status, instance.status)
        return "workflow_queued", f"workflow_{last}" if instance.is_final else None

    def version_ids(self, name: str) -> list[str]:
        """Return the ids of a workflow's versions, newest first."""
        return [version.id for version in reversed(self._workflow(name).versions)]

    def queues(self, name: str) -> dict[str, tuple[int, int]]:
        """Return of each key how many of a limited workflow have a slot, and how many wait."""
        workflow = self._workflow(name)
        held = [each.key for each in workflow.instances.values() if each.has_slot and workflow.has_gate]
        keys = {*held, *(each.key for each in workflow.instances.values() if each.queued_at is not None)}
        return {key: (held.count(key), len(workflow.queue(key))) for key in keys}

    def ids(self, name: str, status: str | None, *, ascending: bool = False) -> list[str]:
        """Return the ids of a workflow's instances by creation, newest first unless asked otherwise."""
        found = [each.id for each in self._workflow(name).instances.values() if status in (None, each.status)]
        return found if ascending else found[::-1]

    def counts(self, name: str) -> dict[str, int]:
        """Return how many instances have each status that any has."""
        statuses = [each.status for each in self._workflow(name).instances.values()]
        return {status: statuses.count(status) for status in statuses}

    def search(self, name: str | None, search: Search, now: int | None = None) -> list[Instance]:
        """Return the instances that are found, of a workflow or of all, newest first."""
        workflows = self.workflows.values() if name is None else [self._workflow(name)]
        found = [each for one in workflows for each in one.instances.values() if search.finds(each, now or self.now)]
        return sorted(found, key=lambda each: each.row, reverse=True)

    def send(self, name: str, id: str, event_type: str, payload: str, key: tuple[str, str] | None = None) -> int:
        """Send an event; return when it was received."""
        if "." in event_type:
            raise Refused("InvalidInput")
        if (done := self._done(key)) is not None:
            return done.at
        self.find(name, id).receive(self.now, event_type, payload)
        self._keep(key, name, self.now)
        return self.now

    def force(self, name: str, id: str, action: str, place: int, value: str) -> int:
        """Decide by hand what becomes of a step; return when."""
        self.find(name, id).force(self.now, action, place, value)
        return self.now

    def fork(self, name: str, id: str, place: int | None, new_id: str | None) -> str:
        """Make a new instance from a move of another one (None: from its beginning); return its id."""
        if new_id is not None and "!" in new_id:
            raise Refused("InvalidInstanceId")
        source = self.find(name, id)
        if place is not None and place >= source.begun:
            raise Refused("StepNotInHistory")
        made_id = self._id() if new_id is None else new_id
        if made_id in self.workflows[name].instances:
            raise Refused("InstanceAlreadyExists")
        self._rows += 1
        made = source.forked(made_id, self._rows, self.now, place or 0)
        self.workflows[name].instances[made_id] = made
        return made_id

    def move(self, name: str, id: str) -> str | None:
        """Move an instance to the newest version, of which no code is kept here; return which one it has then."""
        workflow = self._workflow(name)
        instance = workflow.instances.get(id)
        if instance is None:
            return None
        if not instance.is_final and instance.version != workflow.newest.id:
            raise Refused("InvalidInput")
        return instance.version

    # ---- control

    def control(self, name: str, id: str, verb: str) -> str:
        """Pause, resume, terminate, undo or restart an instance; return its status then."""
        instance = self.find(name, id)
        if verb == "restart":
            self._count(name, 1)
        return self._control(name, instance, verb)

    def _control(self, name: str, instance: Instance, verb: str) -> str:
        match verb:
            case "pause":
                instance.pause(self.now)
            case "resume":
                instance.resume(self.now)
            case "terminate":
                instance.end(self.now)
            case "undo":
                instance.end_undone(self.now)
            case "resume_rollback":
                instance.resume_rollback()
            case _:
                instance.begin_again(self.now, self.workflows[name].newest.id)
        return instance.status

    def restart_from(self, name: str, id: str, place: int) -> str:
        """Restart an instance from a move on; return its status then."""
        instance = self.find(name, id)
        self._count(name, 1)
        instance.begin_again_from(place, self.workflows[name].newest.id)
        return instance.status

    def delete(self, name: str, id: str) -> int:
        """Delete an instance; return when."""
        gone = self.find(name, id)
        del self.workflows[name].instances[id]
        if gone.parent is not None and not gone.is_final:
            gone.parent.hear(gone, "deleted")
        gone.parent = None
        gone.end_children(self.now)
        return self.now

    def terminate_all(self, name: str, statuses: Sequence[str]) -> bool:
        """Terminate a workflow's instances that have one of these statuses."""
        for instance in self._workflow(name).instances.values():
            if instance.status in statuses and instance.status not in FINAL:
                instance.end(self.now)
        return True

    def start_job(self, verb: str, name: str | None, search: Search, key: tuple[str, str] | None = None) -> str:
        """Change all instances that match; return the id of the job."""
        if (done := self._done(key)) is not None:
            return str(done.answer)
        if name is not None:
            self._workflow(name)
        job = Job(self._id(), verb, name, search, self.now, self._rows)
        self.jobs[job.id] = job
        self._keep(key, name, job.id)
        self._go_on(job)
        return job.id

    def cancel_job(self, id: str) -> Job:
        """End a job; what it has done stays."""
        job = self.job(id)
        job.has_ended, job.again_at = True, None
        return job

    def _go_on(self, job: Job) -> None:
        is_there = job.workflow is None or job.workflow in self.workflows
        found = self.search(job.workflow, job.search, job.began_at) if is_there else []
        left = [each for each in found if each.row <= job.upto]
        some = [*itertools.takewhile(self._may_restart, left)] if job.verb == "restart" else left
        # The newest come first; those that there is time for at once go from the oldest.
        for instance in reversed(some):
            fits = instance.status in (job.search.statuses or (instance.status,))
            is_changed = fits and self._change(instance, job.verb)
            job.changed += is_changed
            job.passed_over += not is_changed
        job.has_ended = len(some) == len(left)
        job.again_at = None if job.has_ended else self.now + 1_000
        job.upto = left[len(some)].row if not job.has_ended else 0

    def _may_restart(self, instance: Instance) -> bool:
        """Count a restart, if there is room for it."""
        name = self._name_of(instance)
        if has_room := self._has_room(name, 1):
            self._count(name, 1)
        return has_room

    def job(self, id: str) -> Job:
        """Return a job."""
        if id not in self.jobs:
            raise Refused("JobNotFound")
        return self.jobs[id]

    def _change(self, instance: Instance, verb: str) -> bool:
        """Do to an instance what a job is for; tell whether there was anything to do."""
        match verb:
            case "pause":
                fits = instance.status in ("running", "waiting")
            case "resume":
                fits = instance.status in ("paused", "waitingForPause")
            case "terminate":
                fits = not instance.is_final
            case _:
                fits = True
        name = self._name_of(instance)
        if fits:
            self.delete(name, instance.id) if verb == "delete" else self._control(name, instance, verb)
        return fits

    def _name_of(self, instance: Instance) -> str:
        return next(one.name for one in self.workflows.values() if one.instances.get(instance.id) is instance)

    # ---- schedules, limits, retention

    def schedule(self, name: str, cron: str) -> Schedule:
        """Return a schedule."""
        workflow = self._workflow(name)
        if cron not in workflow.schedules:
            raise Refused("ScheduleNotFound")
        return workflow.schedules[cron]

    def change_schedule(self, name: str, cron: str, *, paused: bool | None, overlap: str | None) -> Schedule:
        """Change of a schedule what is not None."""
        schedule = self.schedule(name, cron)
        if paused is not None and paused != schedule.is_paused:
            schedule.is_paused = paused
            schedule.next_at = None if paused else self._next(cron)
        schedule.overlap = overlap or schedule.overlap
        return schedule

    def run_schedule(self, name: str, cron: str) -> str:
        """Create an instance of a schedule now; return its id."""
        schedule = self.schedule(name, cron)
        return self._fire(self.workflows[name], schedule, f"manual-{self._id()}", "api", self.now).id

    def limit_account(self, concurrency: int | None) -> None:
        """Let at most so many instances run at a time."""
        self.concurrency = concurrency
        for workflow in self.workflows.values():
            self._set_gate(workflow)

    def share_limit(self, name: str, concurrency: int | None) -> None:
        """Set a limit that steps share, or take back what was set."""
        if concurrency is None and name not in self.shared:
            raise Refused("LimitNotFound")
        if concurrency is None:
            del self.shared[name]
        else:
            self.shared[name] = concurrency

    def retain(self, kept: Kept) -> Kept:
        """Change what the account says of retention, as far as anything is said."""
        success_ms = self.kept.success_ms if kept.success_ms is None else kept.success_ms
        self.kept = Kept(success_ms, self.kept.error_ms if kept.error_ms is None else kept.error_ms)
        return self.kept

    def expires_at(self, name: str, id: str) -> int | None:
        """Return when an instance is over; None: it has not ended."""
        return self._expires_at(self._workflow(name), self.find(name, id))

    def replace_triggers(self, script: str, triggers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Let a script have these event triggers and no others."""
        if any(name not in self.workflows or self.workflows[name].script != script for _, name in triggers):
            raise Refused("InvalidInput")
        self.triggers[script] = [*triggers]
        return self.triggers[script]

    def merge_triggers(self, script: str, triggers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Add event triggers, which replace those of the same type."""
        kept = [each for each in self.triggers.get(script, []) if each[0] not in dict(triggers)]
        new = self.replace_triggers(script, triggers)
        self.triggers[script] = [*kept, *new]
        return self.triggers[script]

    def delete_triggers(self, script: str) -> int:
        """Delete those of a script; return how many there were."""
        return len(self.triggers.pop(script, []))

    # ---- tokens

    def create_token(self, permissions: Sequence[str], lifetime_ms: int | None) -> str:
        """Make a token; return what it is sent as."""
        if not permissions:
            raise Refused("InvalidInput")
        id = self._id().replace("-", "")[-16:]
        secret = f"sw_{id}_{self._id().replace('-', '')}{'0' * 11}"
        self.tokens[id] = Token(secret, None if lifetime_ms is None else self.now + lifetime_ms)
        return secret

    def authenticate(self, secret: str) -> str:
        """Return whose secret it is."""
        for id, token in self.tokens.items():
            is_over = token.is_revoked or (token.until is not None and token.until <= self.now)
            if token.secret == secret and not is_over:
                return id
        raise Refused("NotAuthenticated")

    def revoke(self, id: str) -> bool:
        """Let a token be good for nothing; tell whether it was good for anything."""
        is_good = id in self.tokens and not self.tokens[id].is_revoked
        if is_good:
            self.tokens[id].is_revoked = True
        return is_good

    # ---- time, and workers

    def crash(self) -> None:
        """Lose the worker."""
        self.has_worker = False

    def start(self) -> None:
        """Get another one."""
        self.has_worker = True
        for _, instance in self._all():
            instance.take_over(self.now)
        self._wake()

    def settle(self) -> None:
        """Let everything happen that can happen at this moment."""
        while True:
            self._queue()
            self._give_slots()
            ready = [each for workflow, each in self._all() if self.has_worker and self._can_run(workflow, each)]
            before = [each.standing() for each in ready]
            for each in ready:
                each.turn(self.now)
            if before == [each.standing() for each in ready]:
                break
        for workflow, each in self._all():
            if workflow.has_gate and each.queued_at is not None and each.status == "waiting":
                each.status = "queued"

    def advance(self, ms: int) -> None:
        """Let time go by, through all that happens meanwhile."""
        end = self.now + ms
        self._expire()
        while (moment := min(self._moments(), default=end + 1)) <= end:
            self.now = moment
            self._fire_due()
            self._wake()
            for job in self.jobs.values():
                if job.again_at is not None and job.again_at <= self.now:
                    self._go_on(job)
            self.settle()
            self._expire()
        self.now = end
        self._expire()
        for workflow in self.workflows.values():
            is_used = any(each.has_slot or each.queued_at is not None for each in workflow.instances.values())
            workflow.has_gate = workflow.is_limited or self.concurrency is not None or is_used
            self._forget_keys(workflow)

    def _moments(self) -> Iterator[int]:
        """Yield the moments to come at which time decides something."""
        for workflow, each in self._all():
            if (over_at := self._expires_at(workflow, each)) is not None:
                yield over_at
            if self.has_worker and each.status in ("waiting", "rollingBack") and each.due_at is not None:
                yield each.due_at
        for workflow in self.workflows.values():
            yield from (at for at in map(workflow.may_begin_at, workflow.turns) if at > self.now)
        yield from (job.again_at for job in self.jobs.values() if job.again_at is not None)
        for schedule in self._schedules():
            if schedule.next_at is not None:
                yield schedule.next_at

    def _expire(self) -> None:
        for workflow in self.workflows.values():
            for id, each in [*workflow.instances.items()]:
                if (over_at := self._expires_at(workflow, each)) is not None and over_at <= self.now:
                    del workflow.instances[id]

    def _expires_at(self, workflow: Workflow, instance: Instance) -> int | None:
        if instance.ended_at is None:
            return None
        version = next(version for version in workflow.versions if version.id == instance.version)
        kept = instance.kept.or_else(version.kept).or_else(self.kept).or_else(KEPT_BY_SERVER)
        ms = kept.success_ms if instance.status == "complete" else kept.error_ms
        assert ms is not None
        return instance.ended_at + ms

    def _wake(self) -> None:
        for _, each in self._all():
            is_asleep = each.status in ("waiting", "rollingBack")
            if is_asleep and each.due_at is not None and each.due_at <= self.now:
                each.is_due = True

    def _fire_due(self) -> None:
        for workflow in self.workflows.values():
            for schedule in workflow.schedules.values():
                if schedule.next_at is not None and schedule.next_at <= self.now:
                    self._fire_once(workflow, schedule, schedule.next_at)

    def _fire_once(self, workflow: Workflow, schedule: Schedule, at: int) -> None:
        schedule.next_at = self._next(schedule.cron)
        unfinished = [each for each in schedule.known if not each.is_final and each in workflow.instances.values()]
        if unfinished and schedule.overlap == "skip":
            schedule.skipped += 1
            return
        if schedule.overlap == "cancel":
            for each in unfinished:
                each.end(self.now)
        if f"{schedule.cron}-{at}" not in workflow.instances:
            self._fire(workflow, schedule, f"{schedule.cron}-{at}", "cron", at)

    def _fire(self, workflow: Workflow, schedule: Schedule, id: str, trigger: str, at: int) -> Instance:
        created = self._new(workflow, Wish(id, "{}"), trigger)
        unfinished = [each for each in schedule.known if not each.is_final and each in workflow.instances.values()]
        schedule.known, schedule.last, schedule.last_at = [*unfinished, created], created, at
        return created

    def _next(self, cron: str) -> int:
        return (self.now // PERIODS_MS[cron] + 1) * PERIODS_MS[cron]

    def _schedules(self) -> Iterator[Schedule]:
        return (schedule for workflow in self.workflows.values() for schedule in workflow.schedules.values())

    # ---- slots

    def _set_gate(self, workflow: Workflow) -> None:
        if workflow.has_gate or not (workflow.is_limited or self.concurrency is not None):
            return
        workflow.has_gate = True
        for each in workflow.instances.values():
            each.has_slot = each.status in ("running", "waitingForPause")

    def _can_run(self, workflow: Workflow, instance: Instance) -> bool:
        if instance.status in ("running", "waitingForPause"):
            return True
        has_turn = instance.is_due and instance.status in ("queued", "waiting", "rollingBack")
        return has_turn and (instance.has_slot or not workflow.has_gate)

    def _queue(self) -> None:
        """Let those wait for a slot that are due, as a worker comes upon them."""
        for workflow, each in self._all():
            is_due = self.has_worker and each.is_due and each.status in ("queued", "waiting", "rollingBack")
            if workflow.has_gate and is_due and not each.has_slot and each.queued_at is None:
                self._enter(workflow, each)

    def _enter(self, workflow: Workflow, instance: Instance) -> None:
        """Let an instance wait for a slot. A key that comes anew has its turn before the one that had it last."""
        instance.queued_at = self.now
        workflow.turns.setdefault(instance.key, workflow.last_turn - 1)

    def _give_slots(self) -> None:
        while (heads := [*self._heads()]) and not self._is_full():
            _, _, workflow, each = min(heads, key=lambda head: head[:2])
            if each.started_at is None:
                workflow.starts.append((self.now, each.key))
            workflow.last_turn += 2
            workflow.turns[each.key] = workflow.last_turn
            each.has_slot, each.queued_at, each.is_due = True, None, True

    def _heads(self) -> Iterator[tuple[int, int, Workflow, Instance]]:
        """Yield of each workflow that has room whose turn it is there, and since when it waits."""
        for workflow in self.workflows.values():
            held = [each.key for each in workflow.instances.values() if each.has_slot]
            heads = [queue[0] for queue in map(workflow.queue, workflow.turns) if queue]
            heads = [each for each in heads if held.count(each.key) < (workflow.declared.per_key or len(held) + 1)]
            heads = [each for each in heads if each.started_at is not None or not self._is_too_soon(workflow, each)]
            if heads and workflow.has_gate and (workflow.most is None or len(held) < workflow.most):
                each = min(heads, key=lambda one: (workflow.turns[one.key], one.key))
                assert each.queued_at is not None
                yield each.queued_at, workflow.row, workflow, each

    def _is_too_soon(self, workflow: Workflow, instance: Instance) -> bool:
        return workflow.may_begin_at(instance.key) > self.now

    def waits_for_a_rate(self) -> bool:
        """Tell whether somebody could begin if time went by."""
        return any(
            each.queued_at is not None and each.started_at is None and self._is_too_soon(workflow, each)
            for workflow, each in self._all()
        )

    def _forget_keys(self, workflow: Workflow) -> None:
        """Forget the turns of keys in which nothing is left that counts."""
        used = {each.key for each in workflow.instances.values() if each.has_slot or each.queued_at is not None}
        rate = workflow.declared.rate_per_key
        used |= {key for at, key in workflow.starts if rate is not None and at + rate[1] > self.now}
        workflow.turns = {key: turn for key, turn in workflow.turns.items() if key in used}

    def _is_full(self) -> bool:
        held = sum(each.has_slot for _, each in self._all())
        return self.concurrency is not None and held >= self.concurrency

    # ---- what all of them need

    def _workflow(self, name: str) -> Workflow:
        if name not in self.workflows:
            raise Refused("WorkflowNotFound")
        return self.workflows[name]

    def _all(self) -> Iterator[tuple[Workflow, Instance]]:
        return ((workflow, each) for workflow in self.workflows.values() for each in workflow.instances.values())

    def _check(self, name: str, wish: Wish) -> None:
        if wish.id is not None and "!" in wish.id:
            raise Refused("InvalidInstanceId")
        if any("\n" in value for _, value in wish.labels):
            raise Refused("InvalidInput")
        self._workflow(name)

    def _add(self, name: str, wish: Wish) -> str:
        workflow = self._workflow(name)
        id = self._id() if wish.id is None else wish.id
        if self._queued(workflow) >= self._most_queued:
            raise Refused("QueueFull")
        if id in workflow.instances:
            raise Refused("InstanceAlreadyExists")
        self._new(workflow, Wish(id, wish.params, wish.kept, wish.labels), "api")
        return id

    def _count(self, name: str, count: int) -> None:
        """Count instances that are about to be created, or restarted."""
        if count > min(self._rate.most, self._rates[name].most):
            raise Refused("InvalidInput")
        if not self._has_room(name, count):
            raise Refused("CreatedTooFast")
        for rate in (self._rate, self._rates[name]):
            rate.recent += [self.now] * count

    def _has_room(self, name: str, count: int) -> bool:
        return all(rate.has_room(count, self.now) for rate in (self._rate, self._rates[name]))

    def _queued(self, workflow: Workflow) -> int:
        """Return how many of a workflow wait for a slot or, where there are none, for a worker."""
        instances = workflow.instances.values()
        if workflow.has_gate:
            return sum(each.queued_at is not None for each in instances)
        return sum(each.status == "queued" for each in instances)

    def _new(self, workflow: Workflow, wish: Wish, trigger: str) -> Instance:
        assert wish.id is not None
        self._rows += 1
        created = workflow.instances[wish.id] = Instance(
            program_of(wish.params),
            id=wish.id,
            row=self._rows,
            params=wish.params,
            version=workflow.newest.id,
            created_at=self.now,
            trigger=trigger,
            kept=wish.kept,
            labels=dict(wish.labels),
            key=key_of(wish.params) if workflow.declared.per_key else "",
            bear=self._bear,
        )
        if workflow.has_gate:
            self._enter(workflow, created)
        self._give_slots()
        return created

    def _bear(self, parent: Instance, move: str) -> Instance:
        """Create the child of a move, whose id is made of what nobody but the server knows: it is told later."""
        name = self._name_of(parent)
        params = json.dumps({"program": CHILDREN[move], "of": f"{name}/{parent.id} {move} {parent.place}"})
        wish = Wish(f"?{self._rows}", params.replace(": ", ":").replace(", ", ","))
        child = self._new(self.workflows["errand"], wish, "binding")
        child.parent = parent
        parent.children.append(child)
        return child

    def unnamed(self) -> list[Instance]:
        """Return the children whose ids are not known yet, the oldest first."""
        return [each for _, each in self._all() if each.id.startswith("?")]

    def name_child(self, child: Instance, id: str) -> None:
        """Take note of the id of a child."""
        instances = self.workflows["errand"].instances
        child.id = id
        self.workflows["errand"].instances = {each.id: each for each in instances.values()}

    def _done(self, key: tuple[str, str] | None) -> Done | None:
        done = None if key is None else self.keys.get(key[0])
        if key is None or done is None or done.at + DAY_MS <= self.now:
            return None
        if done.request != key[1]:
            raise Refused("IdempotencyKeyReused")
        return done

    def _keep(self, key: tuple[str, str] | None, name: str | None, answer: object) -> None:
        if key is not None:
            row = 0 if name is None else self.workflows[name].row
            self.keys[key[0]] = Done(key[1], self.now, answer, row)
