"""Streams: what a step gives piece by piece is stored once, and read again as often as the code likes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint, streams
from stepwell.core.failures import Failure
from stepwell.core.steplog import StepEntry
from stepwell.settings import TurnSettings
from tests.engine.flows import error_of, opened, output_of, restart
from tests.engine.stores import CheckedStore, RefusingStore
from tests.engine.ways import Job, every_way


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a piece have four bytes."""
    monkeypatch.setattr(streams, "STREAM_PIECE_BYTES", 4)


async def letters() -> AsyncIterator[Any]:
    """Give ten letters in chunks of all kinds."""
    yield b"a"
    yield bytearray(b"bcdefgh")
    yield memoryview(b"")
    yield memoryview(b"ij")


def returns() -> AsyncIterator[Any]:
    """Return a stream from a thread."""
    return letters()


@pytest.mark.usefixtures("small")
async def test_stream_comes_back_as_it_was_given() -> None:
    """Its size is known, each reading begins at the first byte, and pieces are those that are stored."""

    async def run(event, step):
        stream = await step.do("letters", letters)
        pieces = [piece async for piece in stream]
        return [
            type(stream).__name__,
            stream.size,
            [piece.decode() for piece in pieces],
            (await stream.read()).decode(),
        ]

    assert await output_of(run) == ["StepStream", 10, ["abcd", "efgh", "ij"], "abcdefghij"]


@pytest.mark.usefixtures("small")
async def test_stream_is_read_in_the_same_order_by_every_replay() -> None:
    """Two that read side by side, between steps, in steps and in nested steps, go the same way after every crash."""

    class Reads(WorkflowEntrypoint[Any]):
        async def run(self, event, step):
            seen: list[str] = []
            first, second = await asyncio.gather(step.do("first", letters), step.do("second", returns))

            # Not in threads: which of two ends first would be another matter before it is on record.
            async def note():
                return len(seen)

            async def read(name, stream):
                async for piece in stream:
                    seen.append(f"{name}{piece.decode()}")
                    if piece == b"efgh":
                        await step.do(f"note {name}", note)

            async def copy():
                async for piece in first:
                    yield piece.upper()

            @step.do(name="count")
            async def count():
                await step.do("inner", lambda: 1)
                return len(await second.read())

            await asyncio.gather(read("1", first), read("2", second), step.sleep("nap", "1 second"))
            copied = await step.do("copy", copy)
            return [seen, await count(), (await copied.read()).decode()]

    seen, count, copied = await every_way(Job(Reads))

    assert seen == ["1abcd", "2abcd", "1efgh", "2efgh", "1ij", "2ij"]
    assert (count, copied) == (10, "ABCDEFGHIJ")


@pytest.mark.usefixtures("small")
async def test_stream_is_read_in_a_thread() -> None:
    """A function that is not async reads it with `for`; on the event loop that is refused."""

    async def run(event, step):
        stream = await step.do("letters", letters)
        with pytest.raises(TypeError) as refusal:
            list(stream)
        return [str(refusal.value), await step.do("join", lambda: b"".join(stream).decode())]

    assert await output_of(run) == [
        "a stream is read with `async for` here; `for` is for functions that are not async",
        "abcdefghij",
    ]


@pytest.mark.usefixtures("small")
async def test_attempt_that_fails_leaves_nothing_of_its_stream() -> None:
    """The next attempt's stream is the step's; of the first nothing is read."""

    async def run(event, step):
        async def breaks_once(ctx):
            yield b"first try" if ctx.attempt == 1 else b"second"
            if ctx.attempt == 1:
                raise ValueError("the line is dead")

        stream = await step.do("breaks once", breaks_once)
        return (await stream.read()).decode()

    async with opened(run) as (engine, instance):
        await engine.advance("1 day")

        assert await instance.output() == "second"
        (entry,) = (await instance.log()).entries
        assert isinstance(entry, StepEntry)
        assert [attempt.error for attempt in entry.attempts] == [Failure("ValueError", "the line is dead"), None]


async def test_attempt_runs_out_of_time_while_its_stream_is_read() -> None:
    """The time-out covers the stream, and what the code has opened is closed."""
    closed: list[bool] = []

    async def run(event, step):
        async def stalls():
            try:
                yield b"x"
                await asyncio.Event().wait()
            finally:
                closed.append(True)

        await step.do("stalls", stalls, config={"timeout": "10 seconds", "retries": {"limit": 0, "delay": 0}})

    assert await error_of(run) == Failure("WorkflowTimeoutError", "Execution timed out after 10000ms")
    assert closed == [True]


async def test_attempt_that_was_ended_and_goes_on_drops_no_stream_of_the_next() -> None:
    """It swallows its cancellation, and returns a stream when the next attempt has stored its own."""
    go_on = asyncio.Event()

    async def run(event, step):
        async def stubborn(ctx):
            while ctx.attempt == 1 and not go_on.is_set():
                with suppress(asyncio.CancelledError):
                    await go_on.wait()

            async def gives():
                yield b"first" if ctx.attempt == 1 else b"second"

            return gives()

        config = {"timeout": "10 seconds", "retries": {"limit": 1, "delay": 0}}
        stream = await step.do("stubborn", stubborn, config=config)
        go_on.set()
        for _ in range(10):
            await step.do("other", lambda: 1)
        return (await stream.read()).decode()

    assert await output_of(run) == "second"


@pytest.mark.parametrize(
    ("chunk", "problem"),
    [
        pytest.param("text", "a stream consists of bytes, and one of its chunks is of type str", id="text"),
        pytest.param(
            bytes(16 * 2**20 + 1),
            "a chunk of its stream has 16,777,217 bytes; at most 16,777,216 may come at a time",
            id="too large",
        ),
    ],
)
async def test_chunk_that_cannot_be_stored_ends_the_instance(chunk: Any, problem: str) -> None:
    """No retry, and nothing to catch: as with a value that cannot be stored."""

    async def run(event, step):
        async def gives():
            yield b"fine"
            yield chunk

        try:
            await step.do("gives", gives)
        except BaseException:  # as an author may catch it
            return "caught"

    assert await error_of(run) == Failure("WorkflowFatalError", f"result is not serialisable: {problem}.")


async def test_code_behind_a_stream_ends_with_it() -> None:
    """Also where it would have more to give, and somebody keeps it."""
    closed: list[bool] = []

    async def run(event, step):
        async def gives():
            try:
                yield "no bytes"
            finally:
                closed.append(True)

        kept = gives()
        await step.do("gives", lambda: kept)

    await error_of(run)

    assert closed == [True]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("most", "status"), [pytest.param(12, "complete", id="fits"), (11, "errored")])
async def test_stream_counts_among_what_the_instance_holds(most: int, status: str) -> None:
    """Ten bytes and the params `{}`; one that goes on for ever is ended when there is no room, not later."""

    async def run(event, step):
        await step.do("letters", letters)

    async with opened(run, params={}, settings=TurnSettings(instance_bytes=most)) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.status() == status


@pytest.mark.usefixtures("small")
async def test_endless_stream_is_ended_when_there_is_no_room() -> None:
    """It is not gathered first."""
    given: list[int] = []

    async def run(event, step):
        async def endless():
            while True:
                given.append(1)
                yield b"1234"

        await step.do("endless", endless)

    async with opened(run, settings=TurnSettings(instance_bytes=1_000)) as (engine, instance):
        await engine.run_until_idle()

        assert await instance.status() == "errored"
        assert "(the setting instance_size)" in str(await instance.error())
        assert len(given) == 250


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        pytest.param([b"hello"], '"hello"', id="text"),
        pytest.param([], '""', id="empty"),
        pytest.param(["é".encode()[:1], "é".encode()[1:]], '"é"', id="character in two chunks"),
        pytest.param([b"\xff\xfe\x80\x81"], '"[ReadableStream (binary): 4 bytes]"', id="binary"),
        pytest.param([b"a\0b"], '"[ReadableStream (binary): 3 bytes]"', id="zeros"),
        pytest.param(["é".encode()[:1]], '"[ReadableStream (binary): 1 bytes]"', id="half a character at the end"),
        pytest.param([b"A" * 5_000], '"' + "A" * 1_023 + "[truncated output]", id="long text"),
        pytest.param(["€".encode() * 5_000], '"' + "€" * 1_023 + "[truncated output]", id="long text of many bytes"),
    ],
)
async def test_log_shows_what_a_stream_begins_with(chunks: list[bytes], shown: str) -> None:
    """Text as text, cut after 1,024 characters; of anything else its size."""

    async def run(event, step):
        async def gives():
            for chunk in chunks:
                yield chunk

        await step.do("gives", gives)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        (entry,) = (await instance.log()).entries
        assert isinstance(entry, StepEntry)
        assert entry.output == shown


async def test_rollback_reads_the_stream_of_its_step() -> None:
    """It is given what the step returned."""
    undone: list[bytes] = []

    async def run(event, step):
        async def undo(context):
            undone.append(await context.output.read())

        await step.do("letters", letters, rollback=undo)
        raise ValueError("no")

    await error_of(run)

    assert undone == [b"abcdefghij"]


@pytest.mark.usefixtures("small")
async def test_store_that_refuses_for_a_while_loses_no_piece() -> None:
    """The store is asked again, once a second, until it answers."""
    store = RefusingStore()

    async def run(event, step):
        async def gives():
            for piece in (b"abcd", b"efgh", b"ij"):
                store.refuses = True
                yield piece

        stream = await step.do("gives", gives)
        return (await stream.read()).decode()

    async with opened(run, store=store) as (engine, instance):
        for _ in range(4):
            await engine.run_until_idle()
            store.refuses = False
            await engine.advance("1 second")

        assert await instance.output() == "abcdefghij"


async def test_stream_within_a_value_is_refused() -> None:
    """It is the whole result or none."""

    async def run(event, step):
        await step.do("gives", lambda: {"file": letters()})

    error = await error_of(run)

    assert error is not None
    assert error.message == (
        'result["file"] is not serialisable: a stream is stored only as the whole result of a step.'
    )


async def test_stream_that_is_read_after_its_turn_is_refused() -> None:
    """What code has kept of a turn that is over reads nothing more, in a task or in a thread."""
    kept: list[Any] = []

    async def run(event, step):
        kept.append(await step.do("letters", letters))

    async with opened(run) as (engine, _):
        await engine.run_until_idle()

        with pytest.raises(BaseException, match="a step was called, or a stream read, after its turn had ended"):
            await kept[0].read()
        with pytest.raises(BaseException, match="a stream was read after its turn had ended"):
            await asyncio.to_thread(lambda: list(kept[0]))


async def test_large_stream_is_stored_in_pieces_and_read_after_a_crash() -> None:
    """A mebibyte and a bit: five pieces, whose bytes are the same in another turn."""
    store = CheckedStore()
    digests: list[str] = []

    async def run(event, step):
        async def gives():
            for n in range(130):
                yield bytes([n]) * 8_192

        stream = await step.do("gives", gives)
        sizes = [len(piece) async for piece in stream]
        digests.append(hashlib.sha256(await stream.read()).hexdigest())
        await step.sleep("nap", "1 hour")
        return [stream.size, sizes]

    async with opened(run, store=store) as (engine, instance):
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("1 day")

        assert await instance.output() == [130 * 8_192, [262_144] * 4 + [16_384]]
        expected = hashlib.sha256(b"".join(bytes([n]) * 8_192 for n in range(130))).hexdigest()
        assert digests == [expected, expected]
