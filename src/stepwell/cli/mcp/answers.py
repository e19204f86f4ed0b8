"""What tools answer, as clients are given it in schemas. Texts are cut to what there is room for.

`next_offset`, `next_cursor` and `next_after` are given again for what comes next; without one that was all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

# Not that of `typing`, of which Pydantic makes a schema from Python 3.12 on alone.
from typing_extensions import TypedDict

from stepwell.cli.mcp.texts import PIECE_CHARACTERS, harmless

Row = Mapping[str, Any]


class Piece(TypedDict):
    """A part of a long text; `characters` are those of the whole."""

    text: str
    offset: int
    next_offset: int | None
    characters: int


class Answer(TypedDict):
    """What all answers have that have texts of others: what these are."""

    note: NotRequired[str]


class ServerAnswer(Answer):
    """Which server is asked, as whom, and how it is."""

    url: str
    account: str
    version: NotRequired[str]
    permissions: NotRequired[Sequence[str]]
    findings: Sequence[Row]
    waiting: NotRequired[Row]


class WorkflowsAnswer(Answer):
    """Workflows, with how many of their instances have which status."""

    workflows: Sequence[Row]
    next_offset: NotRequired[int | None]


class InstancesAnswer(Answer):
    """Instances that were found."""

    instances: Sequence[Row]
    next_cursor: NotRequired[str | None]


class StepRow(TypedDict):
    """A step in short. What it returned is cut: get_step has it whole."""

    name: str
    type: str
    state: str
    start: str | None
    end: str | None
    attempts: NotRequired[int]
    error: NotRequired[str]
    output: NotRequired[str]


class InstanceAnswer(Answer):
    """An instance: how it stands, why it does not go on, and its steps, the newest first."""

    workflow: str
    id: str
    status: str
    why: Sequence[str]
    error: NotRequired[str]
    failed_step: NotRequired[str]
    version_id: str
    trigger: str
    queued: str
    start: str | None
    end: str | None
    labels: NotRequired[Mapping[str, str]]
    params: NotRequired[str]
    output: NotRequired[str]
    rollback: NotRequired[Row]
    step_count: int
    steps: Sequence[StepRow]
    next_cursor: NotRequired[str | None]


class StepAnswer(Answer):
    """A step: how it stands, its latest attempts, and what it returned, as JSON, piece by piece."""

    status: str
    config: NotRequired[Row]
    attempt_count: NotRequired[int]
    attempts: NotRequired[Sequence[Row]]
    error: NotRequired[str]
    output: NotRequired[Piece]
    stream_bytes: NotRequired[int]


class ValueAnswer(Answer):
    """A value of an instance, as JSON, piece by piece; none: there is none."""

    value: NotRequired[Piece]


class LogsAnswer(Answer):
    """Lines that an instance has said, the oldest first."""

    lines: Sequence[Row]
    next_after: NotRequired[int | None]


class GraphAnswer(Answer):
    """The steps of a workflow's code as an indented tree."""

    graph: Piece


class VersionsAnswer(Answer):
    """Versions of a workflow, the newest first."""

    versions: Sequence[Row]
    next_offset: NotRequired[int | None]


class SchedulesAnswer(Answer):
    """Schedules, with their next firings."""

    schedules: Sequence[Row]
    next_offset: NotRequired[int | None]


class LimitsAnswer(Answer):
    """How many may run, and how many do."""

    limits: Row


class ComparisonAnswer(Answer):
    """What differs between A and B."""

    differs: Sequence[Row]
    files: NotRequired[Sequence[Row]]
    notes: NotRequired[Sequence[str]]
    compared: int
    next_offset: NotRequired[int | None]


class CreatedAnswer(TypedDict):
    """An instance that was created."""

    id: str
    status: str
    version_id: NotRequired[str]


class StatusAnswer(TypedDict):
    """An instance's status behind what was asked."""

    id: str
    status: str


class DoneAnswer(TypedDict):
    """That something is on record."""

    id: str
    done: str


def piece_of(text: str, offset: int) -> Piece:
    """Return the part of a text that begins at an offset. Offsets count in the text as it is shown."""
    whole, end = harmless(text), offset + PIECE_CHARACTERS
    following = end if end < len(whole) else None
    return Piece(text=whole[offset:end], offset=offset, next_offset=following, characters=len(whole))
