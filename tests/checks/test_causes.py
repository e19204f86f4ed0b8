"""Why a call may be another one than before is found in the source: in the call, around it, before it."""

from pathlib import Path

import pytest

from stepwell.checks.causes import likely_cause
from stepwell.checks.source import Line
from stepwell.checks.unstable import Kind

HEAD = """\
import asyncio
import os
import random as dice
import time
from datetime import datetime as dt
from itertools import count

from stepwell import WorkflowEntrypoint

numbers = count()
cache = {}


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
"""


def _cause(folder: Path, body: str) -> tuple[Kind, str, int] | None:
    """Return the cause for the line that ends with `# call`, and the number of its line in the body."""
    (folder / "flow.py").write_text(HEAD + "".join(f"        {line}\n" for line in body.splitlines()))
    begin = HEAD.count("\n")
    number = next(n for n, line in enumerate(body.splitlines(), begin + 1) if line.endswith("# call"))
    cause = likely_cause([Line(str(folder / "flow.py"), number)])
    return None if cause is None else (cause.kind, cause.text, cause.line.number - begin)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("await step.do(f'{dice.random()}', f)  # call", (Kind.RANDOM, "dice.random()", 1), id="alias"),
        pytest.param("at = dt.now()\nawait step.do(str(at), f)  # call", (Kind.CLOCK, "dt.now()", 1), id="variable"),
        pytest.param(
            "await step.do('a' if time.time() % 2 else 'b', f)  # call",
            (Kind.CLOCK, "time.time()", 1),
            id="expression",
        ),
        pytest.param(
            "if (n := next(numbers)) > 3:\n    pass\nawait step.do(f'{n}', f)  # call",
            (Kind.STATE, "numbers", 1),
            id="state of a counter",
        ),
        pytest.param(
            "match os.getenv('MODE'):\n    case 'a':\n        await step.do('a', f)  # call",
            (Kind.ENVIRONMENT, "os.getenv('MODE')", 1),
            id="match",
        ),
        pytest.param(
            "while dice.random() < 0.5:\n    await step.do('a', f)\nawait step.do('b', f)  # call",
            (Kind.RANDOM, "dice.random()", 1),
            id="loop before it",
        ),
        pytest.param(
            "names = [str(x) for x in {1, 2}]\nfor name in names:\n    await step.do(name, f)  # call",
            (Kind.SET, "{1, 2}", 1),
            id="list of a set",
        ),
        pytest.param(
            "names = set('ab') | set('cd')\nfor name in list(names):\n    await step.do(name, f)  # call",
            (Kind.SET, "list(names)", 2),
            id="union of sets",
        ),
        pytest.param(
            "text = open('names').read()\nawait step.do(text, f)  # call",
            (Kind.OUTSIDE, "open('names')", 1),
            id="file",
        ),
        pytest.param(
            "await asyncio.sleep(1)\nawait step.do('a', f)  # call", (Kind.TIMER, "asyncio.sleep(1)", 1), id="timer"
        ),
        pytest.param(
            "print(time.time())\nif dice.random() < 0.5:\n    return\nawait step.do('a', f)  # call",
            (Kind.RANDOM, "dice.random()", 2),
            id="branch rather than what decides nothing",
        ),
        pytest.param("await step.do('a', lambda: time.time())  # call", None, id="body of a step"),
        pytest.param("now = await step.do('now', time.time)\nawait step.do(str(now), f)  # call", None, id="result"),
        pytest.param("for x in sorted({1, 2}):\n    await step.do(str(x), f)  # call", None, id="sorted set"),
        pytest.param("if event in {1, 2}:\n    await step.do('a', f)  # call", None, id="member of a set"),
        pytest.param("for x in event.payload:\n    await step.do(x, f)  # call", None, id="nothing"),
    ],
)
def test_cause_is_found_where_the_way_is_decided(
    body: str, expected: tuple[Kind, str, int] | None, tmp_path: Path
) -> None:
    """What is nearest to the call is taken; what is on record is no cause."""
    assert _cause(tmp_path, body) == expected


@pytest.mark.parametrize("content", [None, b"def run(:", b"\0"], ids=["not there", "no Python", "no text"])
def test_source_that_cannot_be_read_has_no_cause(content: bytes | None, tmp_path: Path) -> None:
    """What has been compiled from elsewhere, or has changed since, tells nothing."""
    path = tmp_path / "flow.py"
    if content is not None:
        path.write_bytes(content)

    assert likely_cause([Line(str(path), 1)]) is None


def test_text_of_a_cause_is_cut(tmp_path: Path) -> None:
    """A long expression is shown by its beginning."""
    cause = _cause(tmp_path, f"await step.do(str(time.time({'1, ' * 60})), f)  # call")

    assert cause is not None
    assert cause[1] == f"time.time({'1, ' * 30}..."
