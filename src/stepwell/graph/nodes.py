"""The nodes of a graph, as values: what Cloudflare's visualizer knows, and beside it what only our own views show.

The members that Cloudflare has are those of `GET .../versions/{id}/graph`
(developers.cloudflare.com/api/resources/workflows/subresources/versions/methods/graph/). The others have a default
and are left out there.
"""

from typing import Literal

import msgspec

Duration = int | float | str
Kind = Literal["all", "any", "all_settled", "race"]


class Place(msgspec.Struct, frozen=True):
    """Lines of a file of the script, counted from 1; the path is relative to the script's folder."""

    file: str
    line: int
    last_line: int


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What every node has: where it lies in the source, and a key that is its own within the graph."""

    key: str = ""
    place: Place | None = None


class Called(Node, frozen=True, kw_only=True):
    """A call that may be begun and awaited apart: the number of the point where each happens, if it is not one."""

    starts: int | None = None
    resolves: int | None = None


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a step is tried again; `delay` in milliseconds, or as text."""

    limit: int
    delay: Duration
    backoff: Literal["constant", "linear", "exponential"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Retries of a step and how long an attempt may take, in milliseconds or as text."""

    retries: Retries
    timeout: Duration


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What JSON looks like: an object with these members, or unknown."""

    type: Literal["object", "unknown"]
    fields: dict[str, "Shape"] | None = None


class EventOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a wait waits for, and how long at most, in milliseconds or as text."""

    event_type: str
    timeout: Duration


class Named(Called, frozen=True, kw_only=True):
    """What has a name in the log. `pattern` is set where parts of it are only known when the code runs.

    It is a regular expression that the names of its entries, without their counts, match from end to end.
    """

    name: str
    pattern: str | None = None


class StepDo(Named, frozen=True, kw_only=True, tag="step_do"):
    """A step. `nodes` are the calls in its body; `depends` are keys of the nodes that it waits for."""

    config: Config
    nodes: tuple["AnyNode", ...] = ()
    depends: tuple[str, ...] = ()
    has_rollback: bool = False
    # The binding of the workflow that it starts and awaits, if it is a child.
    child: str | None = None


class StepSleep(Named, frozen=True, kw_only=True, tag="step_sleep"):
    """A sleep, in milliseconds or as text."""

    duration: Duration


class StepSleepUntil(Named, frozen=True, kw_only=True, tag="step_sleep_until"):
    """A sleep until a moment, as it is in the source."""

    timestamp: str


class StepWait(Named, frozen=True, kw_only=True, tag="step_wait_for_event"):
    """A wait for an event."""

    options: EventOptions | None
    payload: Shape | None = None


class Loop(Node, frozen=True, kw_only=True, tag="loop"):
    """What is done again and again; `label` is its head in the source (`for item in items`)."""

    nodes: tuple["AnyNode", ...]
    label: str = ""


class Parallel(Node, frozen=True, kw_only=True, tag="parallel"):
    """What is done at the same time; each of its nodes is a branch."""

    kind: Kind
    nodes: tuple["AnyNode", ...]


class Block(Node, frozen=True, kw_only=True, tag="block"):
    """A group, one after the other; `label` is its head in the source (`except ValueError`)."""

    nodes: tuple["AnyNode", ...]
    label: str = ""


class Try(Node, frozen=True, kw_only=True, tag="try"):
    """A try statement."""

    try_block: Block | None
    catch_block: Block | None
    finally_block: Block | None


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A branch of an if or a match; no condition: else."""

    condition: str | None
    nodes: tuple["AnyNode", ...]


class If(Node, frozen=True, kw_only=True, tag="if"):
    """An if statement with its elifs and else."""

    branches: tuple[Branch, ...]


class Switch(Node, frozen=True, kw_only=True, tag="switch"):
    """A match statement."""

    discriminant: str
    branches: tuple[Branch, ...]


class FunctionCall(Called, frozen=True, kw_only=True, tag="function_call"):
    """A call of a helper that makes steps: its name in the `functions` of the graph."""

    name: str


class FunctionDef(Node, frozen=True, kw_only=True, tag="function_def"):
    """A helper that makes steps."""

    name: str
    nodes: tuple["AnyNode", ...]


class Break(Node, frozen=True, kw_only=True, tag="break"):
    """Where a loop or the run is left; `word` is that of the source: break, continue, return or raise."""

    kind: Literal["break", "return"]
    word: str = ""


AnyNode = (
    StepDo
    | StepSleep
    | StepSleepUntil
    | StepWait
    | Loop
    | Parallel
    | Block
    | Try
    | If
    | Switch
    | FunctionCall
    | FunctionDef
    | Break
)


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """The graph of one workflow: the nodes of `run`, and its helpers by name."""

    class_name: str
    nodes: tuple[AnyNode, ...]
    functions: dict[str, FunctionDef]
    payload: Shape | None = None
    # What could not be followed, each with its line: calls that nobody can name, code that lies elsewhere.
    remarks: tuple[str, ...] = ()
    # The text of the files that nodes lie in, by path; `listing.py` adds it where the code is loaded. None: nobody did.
    sources: dict[str, str] | None = None
