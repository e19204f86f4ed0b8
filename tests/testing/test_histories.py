"""Histories of real instances are replayed against the code that there is now."""

from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.errors import Diverged, InvalidInput
from stepwell.outlook import Verdict
from stepwell.testing import ACCOUNT, TestEngine, assert_replays, histories, replay_history
from stepwell.transfers import export
from tests.testing.loading import flow, loaded

BEFORE = """
await step.do("charge", lambda: 42)
await step.sleep("cool off", "1 day")
await step.do("send", lambda: "sent")
return "done"
"""


async def _export(folder: Path, *, until: str = "1 hour") -> Path:
    """Export two instances: one that sleeps or has ended, one after the other, in one file."""
    path = folder / "histories" / "flows.jsonl"
    path.parent.mkdir(exist_ok=True)
    with loaded(folder, flow(BEFORE)) as module:
        async with TestEngine.open([module.Flow]) as engine:
            for id in ("a", "b"):
                await engine.create(module.Flow, id=id)
            await engine.advance(until)
            lines = [line for id in ("a", "b") async for line in export(engine.store, ACCOUNT, "flow", id)]
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("until", ["1 hour", "2 days"], ids=["sleeping", "ended"])
@pytest.mark.parametrize(
    ("now", "problem"),
    [
        pytest.param(BEFORE, None, id="the same"),
        pytest.param(BEFORE.replace('"sent"', '"on its way"'), None, id="other body"),
        pytest.param(
            BEFORE.replace('"charge"', '"pay"'),
            "diverges: pay-1 would be run anew, and charge-1, cool off-1{more}, on record at that place, is not used",
            id="other name",
        ),
        pytest.param('raise ValueError("no more")', "fails: ValueError: no more", id="fails"),
        pytest.param(
            'return "at once"',
            "diverges: it would end at once, and charge-1, cool off-1{more}, on record, is not used",
            id="ends early",
        ),
    ],
)
async def test_history_is_replayed_against_the_code(now: str, problem: str | None, until: str, tmp_path: Path) -> None:
    """An instance that would go another way is an error; one that has ended is replayed up to its end."""
    found = histories((await _export(tmp_path, until=until)).parent)

    with loaded(tmp_path, flow(now)) as module:
        for history in found:
            if problem is None:
                await assert_replays(history, [module.Flow])
                continue
            with pytest.raises(Diverged) as diverged:
                await assert_replays(history, [module.Flow])
            assert problem.format(more=", send-1" if until == "2 days" else "") in str(diverged.value)


async def test_step_more_at_the_end_of_what_has_ended_is_found(tmp_path: Path) -> None:
    """What an instance that has completed would do beyond its end is no part of its history."""
    path = await _export(tmp_path, until="2 days")
    more = BEFORE.replace('return "done"', 'await step.do("thank", lambda: 1)')

    with loaded(tmp_path, flow(more)) as module, pytest.raises(Diverged) as diverged:
        await assert_replays(histories(path)[1], [module.Flow])

    assert str(diverged.value).replace(str(tmp_path), "") == (
        'flow "b" (/histories/flows.jsonl, line 12) would not go as it has gone.\n'
        "\n"
        "  /flow.py:19\n"
        '      await step.do("thank", lambda: 1)\n'
        "\n"
        "  diverges: thank-1 would be run anew, where it had ended before\n"
        "\n"
        "Likely because of other code than before. Let what has begun go the old way: `if step.patched(name)`."
    )


@pytest.mark.parametrize("undo", ["", ", rollback=lambda ctx: None"], ids=["failed", "rolled back"])
async def test_history_of_what_has_failed_may_fail(undo: str, tmp_path: Path) -> None:
    """What has failed before is replayed up to there, and may fail again or not."""
    before = f'await step.do("charge", lambda: 42{undo})\nraise ValueError("no more")'
    (tmp_path / "histories").mkdir()
    path = tmp_path / "histories" / "failed.jsonl"
    with loaded(tmp_path, flow(before)) as module:
        async with TestEngine.open([module.Flow]) as engine:
            instance = await engine.create(module.Flow, id="a")
            await engine.run_until_idle()
            assert await instance.status() == "errored"
            path.write_bytes(b"".join([line async for line in export(engine.store, ACCOUNT, "flow", "a")]))

    for now in (before, before.replace('raise ValueError("no more")', 'return "mended"')):
        with loaded(tmp_path, flow(now)) as module:
            await assert_replays(histories(path)[0], [module.Flow])


async def test_workflow_that_is_gone_is_told(tmp_path: Path) -> None:
    """A history of a workflow that the code does not have would not go on."""

    class Other(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> None:
            return

    (history, _) = histories(await _export(tmp_path))

    assert (await replay_history(history, [Other])).verdict is Verdict.MISSING


def test_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    """What cannot be a history is named, and so is a folder that has none."""
    path = tmp_path / "flows.jsonl"
    with pytest.raises(InvalidInput, match=r"has no histories: `stepwell export WORKFLOW ID > .*name\.jsonl`$"):
        histories(tmp_path)
    path.write_text("{}\n")
    with pytest.raises(InvalidInput, match=r"flows\.jsonl does not begin as `stepwell export` writes it$"):
        histories(path)
    path.write_text('{"type":"instance"\n')
    with pytest.raises(InvalidInput, match=r"flows\.jsonl, line 1, is no line of an export: "):
        histories(path)


async def test_histories_name_themselves(tmp_path: Path) -> None:
    """A file has one or many; each is called by its file and its first line."""
    found = histories(await _export(tmp_path))

    assert [(str(history), history.workflow, history.id) for history in found] == [
        ("flows.jsonl:1", "flow", "a"),
        ("flows.jsonl:9", "flow", "b"),
    ]
