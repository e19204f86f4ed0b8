"""Forks: a new instance from any step of another one, which stays as it is.

What the other one has done before that step is copied, with other params or other outputs of its steps where somebody
says so; the step itself, and all that began later, the new instance does anew. It comes in as an import does: nothing
of it is there until all of it is.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from stepwell.clock import Clock
from stepwell.control import FromStep
from stepwell.core.instance import Status, fold
from stepwell.core.open_calls import fold_calls
from stepwell.core.records import (
    AttemptInterrupted,
    AttemptStarted,
    Created,
    EventReceived,
    Key,
    Patched,
    Record,
    Recorded,
    Restarted,
    SlotGiven,
    StepForced,
    StepSucceeded,
    StreamRef,
    WaitEnded,
)
from stepwell.core.standing import KINDS, find_start, standing
from stepwell.errors import InvalidInput, StepNotInHistory
from stepwell.limits import LABELS
from stepwell.newest_versions import check_of, hold
from stepwell.store import Store, codec
from stepwell.store.label_operations import KeptLabel
from stepwell.store.operations import GetParamsSchema, GetWorkflow, InstanceRow, RecordRow
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece
from stepwell.store.transfer_operations import (
    AbandonImport,
    BeginImport,
    ExportedInstance,
    ExportInstance,
    FinishImport,
    ImportRecords,
    InstanceFacts,
    ListStreams,
    PlacedRecord,
    ReadRecords,
)
from stepwell.store.workflow_operations import GetVersionCode

# By this label an instance says what it is a fork of; its value is that one's id.
FORKED_FROM = "forked_from"
# The version that new instances have.
NEWEST = "newest"

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Fork:
    """What is to be forked from where: `step` None: from the beginning.

    `id` None: a new one; `params` None: the same; `outputs` are JSON texts by the labels of steps before that one;
    `version` None: the same, or NEWEST, or an id.
    """

    step: FromStep | None = None
    id: str | None = None
    params: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Forks:
    """Makes forks of the instances of one store."""

    store: Store
    clock: Clock

    async def fork(self, account: str, workflow: str, source: str, fork: Fork) -> InstanceRow:
        """Make a fork of an instance; return its row.

        Raises WorkflowNotFound, InstanceNotFound, VersionNotFound, StepNotInHistory, InstanceAlreadyExists, or
        InvalidInput for an output of a step that is not copied, or params that do not fit its version.
        """
        exported = await self.store.run(ExportInstance(account, workflow, source))
        facts = await self._on_version(account, workflow, exported.facts, fork.version)
        if fork.params is not None:
            facts = await self._with_params(account, workflow, facts, fork.params)
        history = [Recorded(row.seq, codec.from_row(row).record) async for row in self._rows(exported)]
        now = self.clock.now()
        records = _edited(_copied(source, history, fork.step, now), fork, now)
        id = fork.id or str(uuid.uuid4())
        made = _facts(facts, records, source, now)
        row = await self.store.run(BeginImport(account, workflow, id, f"fork-{uuid.uuid4().hex}", 0, now))
        try:
            written = await self._with_streams(records, exported, row)
            for start in range(0, len(written), _AT_ONCE):
                await self.store.run(ImportRecords(row, written[start : start + _AT_ONCE]))
            return (await self.store.run(FinishImport(row, account, workflow, id, made))).row
        except BaseException:
            await self.store.run(AbandonImport(row))
            raise

    async def _on_version(
        self, account: str, workflow: str, facts: InstanceFacts, version: str | None
    ) -> InstanceFacts:
        if version is None:
            return facts
        if version == NEWEST:
            version = (await self.store.run(GetWorkflow(account, workflow))).version
        code = await self.store.run(GetVersionCode(account, workflow, version))
        found = code.version
        return structs.replace(
            facts, version=version, sha256=code.sha256, script=found.script, class_name=found.class_name
        )

    async def _with_params(self, account: str, workflow: str, facts: InstanceFacts, params: str) -> InstanceFacts:
        """Hold other params against the version's schema, and let the fork queue where they belong."""
        code = await self.store.run(GetVersionCode(account, workflow, facts.version))
        newest = await self.store.run(GetParamsSchema(account, workflow))
        place = await hold(params, await check_of(code.params_schema), newest.flow)
        return structs.replace(facts, key=place.key, bias_ms=place.bias_ms)

    async def _rows(self, exported: ExportedInstance) -> AsyncIterator[RecordRow]:
        seq = 0
        while found := await self.store.run(ReadRecords(exported.row, seq, exported.facts.seq)):
            for placed in found:
                yield placed.record
            seq = found[-1].record.seq

    async def _with_streams(
        self, records: Sequence[Record], exported: ExportedInstance, row: int
    ) -> list[PlacedRecord]:
        """Return the rows of records; the streams that they name are copied."""
        kept = {stream.stream: stream for stream in await self.store.run(ListStreams(exported.row))}
        placed = []
        for seq, record in enumerate(records, 1):
            if isinstance(record, StepSucceeded) and record.stream is not None and record.stream.id in kept:
                old = kept[record.stream.id]
                new = await self.store.run(BeginStream(row, 0, old.step, old.attempt))
                for n in range(1, old.pieces + 1):
                    await self.store.run(WritePiece(row, 0, new, n, await self.store.run(ReadPiece(old.stream, n))))
                row_of = codec.to_row(structs.replace(record, stream=StreamRef(new, record.stream.size)))
            else:
                row_of = codec.to_row(record)
            placed.append(PlacedRecord(0, 0, structs.replace(row_of, seq=seq)))
        return placed


def _copied(source: str, history: Sequence[Recorded], step: FromStep | None, now: int) -> list[Recorded]:
    """Return the records that a fork begins with, in their order: the creation, and what came before the step."""
    end = history[-1].seq + 1
    if step is None:
        return [recorded for recorded in history if isinstance(recorded.record, Created)]
    start = find_start(history, KINDS[step.type], step.name, step.count)
    if start is None:
        raise StepNotInHistory(source, step.name, step.type, step.count)
    restart = Recorded(end, Restarted(now, "api", start.seq, start.step_count))
    kept = [each for each in standing([*history, restart]) if _is_copied(each.record)]
    # What was in flight beside the step is in flight no more, and tried again.
    calls = fold_calls(kept).live()
    cut = [AttemptInterrupted(now, call.key, call.attempt) for call in calls if call.is_in_flight]
    return [*kept, *(Recorded(end, record) for record in cut)]


def _is_copied(record: Record) -> bool:
    """Tell whether a record is of the steps, rather than of the turns and the control of the instance."""
    is_of_step = isinstance(getattr(record, "key", None), Key) and not isinstance(record, SlotGiven)
    return is_of_step or isinstance(record, Created | EventReceived | Patched | StepForced)


def _edited(copied: Sequence[Recorded], fork: Fork, now: int) -> list[Record]:
    """Return the records of a fork, as they are numbered from 1 on. Raises InvalidInput."""
    places = {seq: place for place, (seq, _) in enumerate(copied, 1)}
    left = dict(fork.outputs)
    records: list[Record] = []
    for _, record in copied:
        match record:
            case Created():
                params = record.value if fork.params is None else fork.params
                records.append(Created(now, "api", params))
            case StepSucceeded(key=key) if key.label in left:
                records.append(structs.replace(record, value=left.pop(key.label), stream=None))
            case WaitEnded(event_seq=int() as seq):
                records.append(structs.replace(record, event_seq=places[seq]))
            case _:
                records.append(record)
    if left:
        done = [record.key.label for record in records if isinstance(record, StepSucceeded)]
        raise InvalidInput(
            "outputs",
            f'body: outputs: "{next(iter(left)):.300}" is no step that the fork has the output of; '
            f"it has {', '.join(done) or 'none'}",
        )
    return records


def _facts(facts: InstanceFacts, records: Sequence[Record], source: str, now: int) -> InstanceFacts:
    """Return what a fork is beside its records: as new, with the labels of its source, and what it is a fork of.

    Raises InvalidInput where there is no room for that.
    """
    given = tuple(
        KeptLabel(label.name, label.given, label.given)
        for label in facts.labels
        if label.given is not None and label.name != FORKED_FROM
    )
    if len(given) == LABELS:
        raise InvalidInput(
            "labels",
            f'instance "{source}" was given {LABELS} labels, the most there may be, and its fork needs one more, '
            f"{FORKED_FROM}: begin another instance by hand, with fewer",
        )
    return structs.replace(
        facts,
        trigger="api",
        status=Status.QUEUED.value,
        step_count=fold(records).step_count,
        seq=len(records),
        turn=0,
        due_at=now,
        is_held=False,
        lost_turns=0,
        logged=0,
        log_n=0,
        created_at=now,
        modified_at=now,
        started_at=None,
        ended_at=None,
        renewed_at=None,
        restarted_seq=0,
        has_rollbacks=any(isinstance(record, AttemptStarted) and bool(record.rollback) for record in records),
        labelled=0,
        labels=(*given, KeptLabel(FORKED_FROM, source, source)),
    )
