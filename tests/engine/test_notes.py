"""What instances say beside their history: once, whatever is replayed, and never more than is to be kept."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import capture
from stepwell.errors import StoreDamaged
from stepwell.notes import OutputSettings
from stepwell.settings import TurnSettings
from stepwell.store.note_operations import WriteNotes
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from tests.engine import flows
from tests.engine.flows import ONCE, restart
from tests.engine.stores import CheckedStore, RefusingStore

author = logging.getLogger("shop")
Said = list[tuple[str | None, int | None, str, str]]


@asynccontextmanager
async def opened(*args: Any, **kwargs: Any) -> AsyncIterator[tuple[TestEngine, TestInstance]]:
    """Open an engine, and catch what is printed and logged, as a worker process does."""
    author.setLevel(logging.INFO)
    capture.install()
    try:
        async with flows.opened(*args, **kwargs) as both:
            yield both
    finally:
        capture.uninstall()
        author.setLevel(logging.NOTSET)


async def said(engine: TestEngine, instance: TestInstance) -> Said:
    """Return step, attempt, level and text of each line of the log."""
    page = await engine.engine.log(ACCOUNT, instance.workflow, instance.id, 0, 100_000)
    return [(line.step, line.attempt, line.level, line.text) for line in page.lines]


async def progress(engine: TestEngine, instance: TestInstance) -> Any:
    """Return how far the instance says it is."""
    note = (await engine.engine.log(ACCOUNT, instance.workflow, instance.id, 0, 1)).progress
    return None if note is None else json.loads(note.value)


async def talks(event, step):  # noqa: D103 - author code
    print("begun")

    @step.do(config={"retries": {"limit": 1, "delay": 1000}})
    async def work(ctx):
        print("in", "step", ctx.attempt)
        author.info("at %d", ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("bad")

    await work()
    author.warning("half way")
    await step.sleep("nap", "1 hour")
    step.log("awake")
    print("no end of line", end="")


async def test_line_that_is_flushed_is_seen_before_it_ends() -> None:
    """Twice a second, in whole words; a bar of progress and `run`, which is replayed, end their lines themselves."""
    ticks = asyncio.Event()

    async def run(event, step):
        @step.do
        async def think():
            for token in ("Wells ", "are ", "de", "ep, ", "very.\n", "\r10 %", "\r20 %\n", "漢" * 41, "終"):
                print(token, end="", flush=True)
                if token != "de":
                    await ticks.wait()
                    ticks.clear()

        print("in one ", end="", flush=True)
        print("line", flush=True)
        await think()

    async with opened(run) as (engine, instance):
        seen = []
        for _ in range(7):
            await engine.advance(500)
            seen.append([text for _, _, _, text in await said(engine, instance)][1:])
            ticks.set()

    assert seen == [
        [],
        ["Wells are"],
        ["Wells are", "deep,"],
        ["Wells are", "deep,", "very."],
        ["Wells are", "deep,", "very."],
        ["Wells are", "deep,", "very.", "\r10 %\r20 %"],
        ["Wells are", "deep,", "very.", "\r10 %\r20 %", "漢" * 41],
    ]


@pytest.mark.parametrize("parks_always", [False, True])
async def test_each_line_appears_once_however_often_it_is_replayed(
    parks_always: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `run` says is stored and shown once; what attempts say belongs to them; failures have their traceback."""
    async with opened(talks, settings=TurnSettings(parks_always=parks_always)) as (engine, instance):
        await engine.advance("1 minute")
        await restart(engine)
        await engine.advance("2 hours")
        assert await instance.status() == "complete"
        lines = await said(engine, instance)

    traces = [line for line in lines if line[2] == "ERROR"]
    assert [line for line in lines if line not in traces] == [
        (None, None, "stdout", "begun"),
        ("work-1", 1, "stdout", "in step 1"),
        ("work-1", 1, "INFO", "at 1"),
        ("work-1", 2, "stdout", "in step 2"),
        ("work-1", 2, "INFO", "at 2"),
        (None, None, "WARNING", "half way"),
        (None, None, "INFO", "awake"),
        (None, None, "stdout", "no end of line"),
    ]
    ((step, attempt, _, trace),) = traces
    assert (step, attempt) == ("work-1", 1)
    assert trace.startswith("Traceback")
    assert 'raise ValueError("bad")' in trace
    assert str(Path(stepwell.__file__).parent) not in trace
    assert capsys.readouterr().out == "begun\nin step 1\nin step 2\n"


async def test_plain_function_is_heard_in_its_thread() -> None:
    """What a function in a thread prints belongs to its attempt."""

    def work():
        print("from", threading.current_thread().name)
        print("careful", file=sys.stderr)

    async def run(event, step):
        await step.do("work", work, config=ONCE)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert await said(engine, instance) == [
            ("work-1", 1, "stdout", "from stepwell-step"),
            ("work-1", 1, "stderr", "careful"),
        ]


async def test_attempt_that_says_too_much_is_cut() -> None:
    """A thousand lines of an attempt are kept, and a word that there were more; the next attempt begins anew."""

    async def run(event, step):
        @step.do(config=ONCE)
        async def work():
            for n in range(5000):
                print(n)

        await work()
        print("x" * 10_000)

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        lines = await said(engine, instance)

    assert [line[3] for line in lines[998:1001]] == ["998", "999", "what the attempt says from here on is not kept"]
    assert len(lines) == 1002
    assert len(lines[-1][3]) == 8192 + len("[... cut]")


FULL = "what the attempt says from here on is not kept"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        pytest.param(OutputSettings(attempt_lines=1), ["x" * 30 + "0", FULL], id="lines of an attempt"),
        pytest.param(OutputSettings(attempt_characters=40), ["x" * 30 + "0", FULL], id="characters of an attempt"),
        pytest.param(
            OutputSettings(line_characters=20),
            [f"{'x' * 10}[... cut]{'x' * 9}{n}" for n in range(3)],
            id="characters of a line",
        ),
        pytest.param(OutputSettings(log_lines=1), ["x" * 30 + "2"], id="lines of an instance"),
    ],
)
async def test_as_much_is_kept_as_the_settings_say(output: OutputSettings, kept: list[str]) -> None:
    """Bounds of what is kept are settings; the newest lines of an instance stay, and the first of an attempt."""

    def work():
        for number in range(3):
            print("x" * 30 + str(number))

    async def run(event, step):
        await step.do("work", work, config=ONCE)

    async with opened(run, settings=TurnSettings(output=output)) as (engine, instance):
        await engine.advance("1 minute")

        assert [line[3] for line in await said(engine, instance)] == kept


async def test_trace_is_as_long_as_the_settings_say() -> None:
    """The middle of a longer traceback is left out."""

    async def run(event, step):
        raise ValueError("x" * 100)

    async with opened(run, settings=TurnSettings(output=OutputSettings(trace_characters=20))) as (engine, instance):
        await engine.advance("1 minute")

        assert [line[3] for line in await said(engine, instance)] == ["Traceback [... cut]" + "x" * 10]


async def test_what_a_sensitive_step_says_is_not_kept() -> None:
    """Its output is nobody's business, and what it prints may hold it."""

    async def run(event, step):
        @step.do(config={"sensitive": "output"})
        async def secret():
            print("the secret")
            step.log("the secret")
            return 5

        print(await secret())

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

        assert [line[3] for line in await said(engine, instance)] == ["5"]


async def test_output_is_kept_only_if_it_is_wanted() -> None:
    """With the setting off only what the author puts into the log himself is there."""

    async def run(event, step):
        print("said")
        step.log("logged")
        await step.do("work", lambda: print("in a step"))
        await step.sleep("nap", "1 hour")

    async with opened(run, settings=TurnSettings(output=OutputSettings(keeps=False))) as (engine, instance):
        await engine.advance("2 hours")

        assert [line[3] for line in await said(engine, instance)] == ["logged"]


async def test_progress_is_the_latest() -> None:
    """A replay does not bring back an older one, and a step may set it too."""
    seen: list[Any] = []

    async def run(event, step):
        await step.set_progress({"percent": 10})

        @step.do
        async def work():
            await step.set_progress({"percent": 50})

        await work()
        await step.sleep("nap", "1 hour")
        seen.append(1)
        await step.sleep("another nap", "1 hour")
        await step.set_progress("done")

    async with opened(run) as (engine, instance):
        assert await progress(engine, instance) is None
        await engine.advance("1 minute")
        assert await progress(engine, instance) == {"percent": 50}
        await engine.advance("70 minutes")
        assert await progress(engine, instance) == {"percent": 50}
        await engine.advance("1 hour")

        assert await progress(engine, instance) == "done"
    assert seen == [1, 1]


async def test_late_words_of_an_abandoned_attempt_are_not_heard() -> None:
    """Once an attempt is over nothing that its thread still prints is kept."""
    go_on, done = threading.Event(), threading.Event()

    def work():
        go_on.wait(10)
        print("too late")
        done.set()

    async def run(event, step):
        await step.do("work", work, config={**ONCE, "timeout": "1 minute"})

    async with opened(run) as (engine, instance):
        idle = asyncio.create_task(engine.run_until_idle())
        await asyncio.sleep(0.01)
        engine.clock.move_to(engine.clock.now() + 60_000)
        await idle
        go_on.set()
        await asyncio.to_thread(done.wait, 10)
        await engine.run_until_idle()

        assert [line[2] for line in await said(engine, instance)] == ["ERROR", "ERROR"]


async def test_words_wait_for_a_store_that_refuses() -> None:
    """What is said while the store cannot write is written when it can, once."""
    store = RefusingStore()

    async def run(event, step):
        print("one")
        await step.do("work", lambda: 5)
        print("two")

    async with opened(run, store=store) as (engine, instance):
        store.refuses = True
        await engine.run_until_idle()
        store.refuses = False
        await engine.advance("1 minute")

        assert [line[3] for line in await said(engine, instance)] == ["one", "two"]
    await store.close()


async def test_words_whose_answer_was_lost_are_written_once() -> None:
    """A write that was done though nobody was told is sent again as it was; what is said since comes after it."""
    store = RefusingStore()
    go_on = asyncio.Event()

    async def run(event, step):
        print("one")
        await go_on.wait()
        print("two")
        await step.do("work", lambda: 5)
        print("three")

    async with opened(run, store=store) as (engine, instance):
        store.loses_answers = True
        await engine.run_until_idle()
        go_on.set()
        await engine.run_until_idle()
        store.loses_answers = False
        await engine.advance("1 minute")

        assert [line[3] for line in await said(engine, instance)] == ["one", "two", "three"]
        assert await instance.status() == "complete"
    await store.close()


async def test_store_that_fails_on_words_does_not_hold_up_the_instance(caplog: pytest.LogCaptureFixture) -> None:
    """What is said is not worth a turn: the instance goes on, and the log says that its words are lost."""

    class FailingStore(CheckedStore):
        def run(self, operation):
            if isinstance(operation, WriteNotes):
                failed = asyncio.get_running_loop().create_future()
                failed.set_exception(StoreDamaged("a page is damaged"))
                return failed
            return super().run(operation)

    async def run(event, step):
        print("one")
        await step.sleep("nap", "1 hour")
        return 5

    store = FailingStore()
    async with opened(run, store=store) as (engine, instance):
        await engine.advance("2 hours")

        assert await instance.output() == 5
    assert "what flow/a says is not kept any more" in caplog.text
    await store.close()


async def test_task_that_outlives_run_is_named_in_the_log() -> None:
    """What `run` leaves behind is cancelled, and the log says where it was."""

    async def run(event, step):
        async def ticks():
            await asyncio.Event().wait()

        event["ticker"] = asyncio.create_task(ticks())
        await step.sleep("nap", "1 minute")
        return 1

    async with opened(run) as (engine, instance):
        await engine.advance("1 hour")
        ((step, _, level, text),) = await said(engine, instance)

    assert (step, level) == (None, "WARNING")
    assert text.startswith("run has ended before tasks of its own, which are cancelled: test_task_that_outlives_run_")
    assert "ticks (" in text
    assert "test_notes.py, line " in text


async def test_error_of_run_has_its_traceback_in_the_log() -> None:
    """The line of the author's code that failed is to be found there."""

    async def run(event, step):
        raise KeyError("colour")

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()
        ((step, _, level, trace),) = await said(engine, instance)

    assert (step, level) == (None, "ERROR")
    assert 'raise KeyError("colour")' in trace


def test_nothing_changes_where_nobody_speaks_for_an_instance(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of workflows print and logging go their own way."""
    capture.install()

    print("plain")
    sys.stderr.writelines(["a", "b\n"])
    capture.uninstall()

    assert capsys.readouterr() == ("plain\n", "ab\n")
