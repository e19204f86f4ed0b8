"""The checks of an author's source: what each rule finds, and what it leaves alone."""

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

from stepwell.checks import RULES, check

PAGE = (Path(__file__).parent.parent.parent / "docs" / "checks.md").read_text()
SHOWN = {
    rule: re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for rule, text in re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
HEAD = """
import asyncio, datetime, random, time, uuid
import requests
from datetime import datetime as clock
from time import sleep as nap
from stepwell import WorkflowEntrypoint, WorkflowStep, step as durable

"""


def found(source: str) -> list[tuple[str, int]]:
    """Return the rules that a source breaks, with the lines."""
    return [(finding.rule, finding.line) for finding in check(Path("flow.py"), source.encode())]


def found_in_run(lines: str, outside: str = "") -> list[str]:
    """Return the rules that the lines of a `run` break."""
    run = f"class Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n{indent(dedent(lines), ' ' * 8)}\n"
    return [rule for rule, _ in found(HEAD + dedent(outside) + "\n" + run)]


def test_every_rule_is_explained() -> None:
    """The page has each rule, and no other, each with a workflow that breaks it and one that does not."""
    assert set(SHOWN) == set(RULES)
    assert {rule: len(blocks) for rule, blocks in SHOWN.items()} == dict.fromkeys(RULES, 2)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_rule_finds_what_the_page_says(rule: str) -> None:
    """The first workflow shown breaks this rule alone; the second breaks none."""
    wrong, right = SHOWN[rule]

    assert [name for name, _ in found(wrong)] == [rule]
    assert found(right) == []


def test_finding_names_place_rule_and_remedy() -> None:
    """A finding reads like a compiler's."""
    (finding,) = check(Path("flow.py"), SHOWN["not-awaited"][0].encode())

    assert str(finding) == (
        "flow.py:3:9: not-awaited: step.sleep(...) is not awaited, so it does not happen; write `await step.sleep(...)`"
    )


def test_syntax_error_is_a_finding_with_pythons_own_words() -> None:
    """A file that cannot be read is told of with line and column, not with a traceback."""
    (finding,) = check(Path("flow.py"), b"x = 1\ny = (\n")

    assert str(finding) == "flow.py:2:5: syntax: '(' was never closed"


@pytest.mark.parametrize("content", [b"\0", b"x = '\xff'", b"# coding: none\n"], ids=["nul", "latin", "coding"])
def test_file_that_is_no_text_is_a_finding(content: bytes) -> None:
    """Bytes that are no Python are told of, too."""
    assert [finding.rule for finding in check(Path("flow.py"), content)] == ["syntax"]


@pytest.mark.parametrize("content", ["-" * 100_000 + "1", "1" + "+1" * 5_000], ids=["signs", "sums"])
def test_code_that_is_nested_too_deeply_is_a_finding(content: str) -> None:
    """No source brings the check itself down."""
    source = f"class A:\n  async def run(self, event, step):\n    x = {content}\n"

    assert [finding.rule for finding in check(Path("flow.py"), source.encode())] in (["syntax"], [])


@pytest.mark.parametrize("argument", ["{[1]: 2}", "{{}}", "config={'x': {[1]}}", "-'a'", "1 + 'a'", "{**a}"])
@pytest.mark.parametrize("method", ["do", "sleep", "sleep_until", "wait_for_event"])
def test_argument_that_is_no_literal_is_passed_over(method: str, argument: str) -> None:
    """What Python cannot evaluate without running is left to the run."""
    found_in_run(f"await step.{method}({argument})\nawait step.{method}('a', {argument})\nx.send_event({argument})")


def test_finding_is_safe_to_print(tmp_path: Path) -> None:
    """Neither a name in the source nor the file's own name is obeyed by a terminal."""
    path = tmp_path / "a\x1b[31m\nb.py"
    path.write_text(SHOWN["forgotten-f"][0].replace("ship {item}", "ship {item}\\x1b]0;pwned\\x07"))

    lines = [str(finding) for finding in check(path)]

    assert all(line.isprintable() for line in lines)
    assert [line.partition("b.py:")[2].split(": ")[1] for line in lines] == ["step-name", "forgotten-f"]
    assert "a\\x1b[31m\\nb.py:4:" in lines[0]


def test_column_counts_characters() -> None:
    """A line with letters beyond ASCII has its findings where an editor shows them."""
    source = "async def f(step):\n    'üüüü'; step.sleep('a', 500)\n"

    assert [(finding.line, finding.column) for finding in check(Path("flow.py"), source.encode())] == [(2, 13)]


def test_long_flow_is_checked() -> None:
    """Thousands of steps and of variables that hang on each other are no more than a long file."""
    steps = "".join(f"    v{n} = v{n - 1}\n    await step.do('s{n}', f)\n" for n in range(1, 4_000))
    source = f"async def flow(step):\n    def f(): ...\n    v0 = 0\n{steps}"

    assert found(source) == []


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        pytest.param("# stepwell: ignore", [], id="all"),
        pytest.param("# stepwell: ignore[not-awaited]", [], id="this one"),
        pytest.param("#stepwell:ignore[plain-sleep, not-awaited]  # later", [], id="several"),
        pytest.param("# stepwell: ignore[plain-sleep]", ["not-awaited"], id="another one"),
        pytest.param("# stepwell: ignored by nobody", ["not-awaited"], id="another word"),
        pytest.param("# stepwell: ignore[]", ["not-awaited"], id="no rule"),
        pytest.param("# stepwell: ignore [plain-sleep]", ["not-awaited"], id="space before the bracket"),
    ],
)
def test_line_that_is_meant_is_passed_over(comment: str, left: list[str]) -> None:
    """A comment on the line silences the rules that it names, or all."""
    assert found_in_run(f'step.sleep("nap", "1 minute")  {comment}') == left


@pytest.mark.parametrize(
    ("lines", "outside", "rules"),
    [
        pytest.param("step.do('a', print)", "", ["not-awaited"], id="direct step"),
        pytest.param("step.wait_for_event('a', 'b')", "", ["not-awaited"], id="wait"),
        pytest.param("step.set_progress(1)", "", ["not-awaited"], id="progress"),
        pytest.param("step.log('a')", "", [], id="log needs no await"),
        pytest.param("pay()", "@durable\nasync def pay(): ...", ["not-awaited"], id="marked step"),
        pytest.param("await pay()", "@durable()\nasync def pay(): ...", [], id="marked step awaited"),
        pytest.param("@step.do\nasync def a(): ...\na()", "", ["not-awaited"], id="decorated step"),
        pytest.param("@step.do\nasync def a(): ...\nawait a", "", ["step-never-called"], id="await without a call"),
        pytest.param("t = [step.do('a', print)]\nawait asyncio.gather(*t)", "", [], id="awaited later"),
        pytest.param("print('a')", "", [], id="what is no step"),
    ],
)
def test_call_that_is_not_awaited(lines: str, outside: str, rules: list[str]) -> None:
    """Steps in all forms, sleeps and waits as statements; what is kept may be awaited later."""
    assert found_in_run(lines, outside) == rules


TWO = "@step.do('one')\nasync def first(): ...\n@step.do\nasync def second({}): ...\nawait first()\nawait second()"


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param(TWO.format("one"), [], id="name of the step"),
        pytest.param(TWO.format("first"), ["unknown-parameter"], id="name of the function"),
        pytest.param(TWO.format("one, ctx"), [], id="ctx"),
        pytest.param(TWO.format("two=5"), ["unknown-parameter"], id="default value"),
        pytest.param(TWO.format("two") + "\nself.more(step)", [], id="step object handed on"),
        pytest.param(TWO.format("two") + "\nawait step.do('two')(print)()", [], id="step made by a call"),
        pytest.param(TWO.format("two").replace("'one'", "name"), [], id="name that cannot be read"),
        pytest.param(TWO.format("x").replace("step.do\n", "step.do(depends=[first])\n"), [], id="depends"),
    ],
)
def test_parameter_that_names_no_step(lines: str, rules: list[str]) -> None:
    """A parameter is held against the steps of `run`, where all of them can be seen."""
    assert found_in_run(lines) == rules


def test_known_steps_are_told() -> None:
    """The message has the names that the parameter could have had."""
    source = (
        HEAD + "class F(WorkflowEntrypoint):\n  async def run(self, event, step):\n" + indent(TWO.format("x"), "    ")
    )

    (finding,) = check(Path("flow.py"), source.encode())

    assert finding.message.startswith(
        "the parameter x of step second names no step (there is one); a parameter is `ctx`"
    )


ASYNC = "@step.do\nasync def work():\n    {}\nawait work()"


@pytest.mark.parametrize(
    ("lines", "outside", "rules"),
    [
        pytest.param(ASYNC.format("nap(1)"), "", ["blocking-call"], id="by another name"),
        pytest.param(ASYNC.format("requests.get('x')"), "", ["blocking-call"], id="requests"),
        pytest.param(ASYNC.format("await asyncio.to_thread(time.sleep, 1)"), "", [], id="handed to a thread"),
        pytest.param(ASYNC.format("await asyncio.to_thread(lambda: time.sleep(1))"), "", [], id="in a lambda"),
        pytest.param(ASYNC.format("self.time.sleep(1)"), "", [], id="method of that name"),
        pytest.param(ASYNC.replace("async def", "def").format("time.sleep(1)"), "", [], id="plain function"),
        pytest.param("time.sleep(1)", "", ["blocking-call"], id="outside of steps"),
        pytest.param(
            "await step.do('a', fetch)", "async def fetch(): return requests.get('x')", ["blocking-call"], id="by name"
        ),
        pytest.param("await step.do('a', fetch)", "def fetch(): return requests.get('x')", [], id="plain by name"),
        pytest.param(
            "await pay()", "@durable\nasync def pay(): time.sleep(1)", ["blocking-call"], id="marked function"
        ),
        pytest.param("requests = event\nrequests.get('x')", "", ["blocking-call"], id="shadowed import, not followed"),
    ],
)
def test_call_that_blocks(lines: str, outside: str, rules: list[str]) -> None:
    """What blocks is found in async bodies of all forms and outside of steps, under whatever name it was imported."""
    assert found_in_run(lines, outside) == rules


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param("await self.env.A.create_batch([{}])", ["effect-outside-step"], id="batch"),
        pytest.param("await (await self.env.A.get('a')).send_event({})", ["effect-outside-step"], id="event"),
        pytest.param("await self.env.A.get('a')", [], id="get has no effect"),
        pytest.param("await step.do('a', lambda: self.env.A.create())", [], id="in a step"),
        pytest.param(
            "async def helper():\n    await self.env.A.create()\nawait helper()",
            ["effect-outside-step"],
            id="in a helper",
        ),
        pytest.param("await asyncio.sleep(0)", [], id="sleep of nothing"),
        pytest.param("async def ticker():\n    await asyncio.sleep(5)", ["plain-sleep"], id="sleep in a helper"),
    ],
)
def test_effect_outside_of_steps(lines: str, rules: list[str]) -> None:
    """What replays would do again is found in `run` and its own helpers, not in steps."""
    assert found_in_run(lines) == rules


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param("await step.sleep('a', 30)", ["milliseconds"], id="seconds of a sleep"),
        pytest.param("await step.sleep('a', duration=5)", ["milliseconds"], id="by keyword"),
        pytest.param("await step.sleep('a', 500)", [], id="milliseconds of a sleep"),
        pytest.param("await step.sleep('a', 0)", [], id="no sleep at all"),
        pytest.param("await step.sleep_until('a', 1_900_000_000)", ["milliseconds"], id="seconds of a moment"),
        pytest.param("await step.sleep_until('a', 1_900_000_000_000)", [], id="milliseconds of a moment"),
        pytest.param("await step.sleep_until('a', event.timestamp.timestamp())", ["milliseconds"], id="timestamp()"),
        pytest.param("await step.sleep_until('a', event.timestamp.timestamp() * 1000)", [], id="multiplied"),
    ],
)
def test_seconds_where_milliseconds_are_meant(lines: str, rules: list[str]) -> None:
    """Numbers that are too small to be meant, and moments reckoned in seconds."""
    assert found_in_run(lines) == rules


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param("await step.do(f'a {clock.now()}', print)", ["unstable-name"], id="in the name"),
        pytest.param("await step.sleep(str(datetime.datetime.now()), 500)", ["unstable-name"], id="of a sleep"),
        pytest.param(
            "a = random.randint(1, 5)\nb = a * 2\nawait step.do(f'{b}', print)", ["unstable-name"], id="twice removed"
        ),
        pytest.param("a = random.Random(5).random()\nawait step.do(f'{a}', print)", [], id="seeded"),
        pytest.param("a = uuid.uuid5(uuid.NAMESPACE_URL, 'a')\nawait step.do(f'{a}', print)", [], id="reckoned"),
        pytest.param("a = await step.do('a', time.time)\nawait step.do(f'{a}', print)", [], id="from a step"),
        pytest.param("print(time.time())", [], id="nothing depends on it"),
        pytest.param(
            "a = time.time()\na = await step.do('a', f)\nawait step.do(f'{a}', print)", [], id="asked for in the end"
        ),
        pytest.param("while time.time() < 5:\n    await step.sleep('a', 500)", ["unstable-branch"], id="loop"),
        pytest.param(
            "late = clock.now().hour > 20\nif late:\n    await step.sleep('a', 500)", ["unstable-branch"], id="kept"
        ),
        pytest.param("if random.random() < 0.5:\n    print('lucky')", [], id="branch without a step"),
        pytest.param(
            "match random.choice('ab'):\n    case 'a':\n        await step.sleep('a', 500)",
            ["unstable-branch"],
            id="match",
        ),
        pytest.param("@step.do(f'a {uuid.uuid4()}')\nasync def a(): ...\nawait a()", ["unstable-name"], id="decorated"),
    ],
)
def test_values_that_a_replay_does_not_see_again(lines: str, rules: list[str]) -> None:
    """Random values and the time of day are followed through variables to names and branches."""
    assert found_in_run(lines) == rules


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param("await step.do('a {b}', print)", [], id="braces round nothing known"),
        pytest.param("b = 1\nawait step.do('a {b:03}', print)", ["forgotten-f"], id="with a format"),
        pytest.param("await step.sleep('until {event.timestamp}', 500)", ["forgotten-f"], id="with an attribute"),
        pytest.param("b = 1\nawait step.do('a {b}'.format(b=b), print)", [], id="filled in otherwise"),
        pytest.param("await step.wait_for_event('a', 'a.b')", ["event-type"], id="dot"),
        pytest.param("await step.wait_for_event('a', 'a_b')", [], id="underscore"),
        pytest.param(ASYNC.format("await x.send_event({'type': 'a.b'})"), ["event-type"], id="sent in a dict"),
        pytest.param(ASYNC.format("await x.send_event(type='a b', payload=1)"), ["event-type"], id="sent by keyword"),
        pytest.param("await step.wait_for_event('a', 'b', timeout='soon')", ["duration"], id="timeout"),
        pytest.param("await step.sleep('a', f'{5} minutes')", [], id="made text"),
        pytest.param("await step.sleep('a' * 257, 500)", [], id="made name"),
        pytest.param(f"await step.sleep('{'a' * 257}', 500)", ["step-name"], id="long name"),
        pytest.param("await step.do('a', print, config={'retires': 1})", ["step-config"], id="unknown key"),
        pytest.param("await step.do('a', print, config={'retry_on': ValueError})", [], id="config with a class"),
        pytest.param("@step.do(config={'timeout': 0})\nasync def a(): ...\nawait a()", ["step-config"], id="decorated"),
        pytest.param("event['payload'].update(a=1)", ["event-changed"], id="changed by a method"),
        pytest.param("event.payload.items[0] += 1", ["event-changed"], id="changed in place"),
        pytest.param("del event['payload']", ["event-changed"], id="deleted"),
        pytest.param("event = dict(event)\nevent['a'] = 1", [], id="a copy of that name"),
        pytest.param("try:\n    pass\nfinally:\n    del step", [], id="finally without a call"),
    ],
)
def test_what_will_be_refused_or_lost(lines: str, rules: list[str]) -> None:
    """Literals are held against the rules that hold when the code runs."""
    assert found_in_run(lines) == rules


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        pytest.param(
            "class A(Base): \n  async def run(self, event, step): step.sleep('a', 500)",
            ["not-awaited"],
            id="called step",
        ),
        pytest.param("async def helper(s: WorkflowStep): s.sleep('a', 500)", ["not-awaited"], id="annotated"),
        pytest.param("async def helper(s: 'stepwell.WorkflowStep'): s.sleep('a', 500)", ["not-awaited"], id="quoted"),
        pytest.param("import time\ndef ramp(start, step): time.sleep(step)", [], id="a number"),
        pytest.param(
            "import time\nclass Trainer:\n  def run(self, batch, step): time.sleep(step)", [], id="run with a number"
        ),
        pytest.param("async def helper(s): s.sleep('a', 500)", [], id="unknown object"),
        pytest.param(
            "class A(WorkflowEntrypoint[dict]): pass\nclass B(A):\n  async def run(self, e, s): s.sleep('a', 500)",
            ["not-awaited"],
            id="workflow by way of another, with other names",
        ),
        pytest.param("class A:\n  def run(self, a, b): b.sleep('a', 500)", [], id="run of something else"),
    ],
)
def test_flows_are_known_by_class_annotation_or_name(source: str, rules: list[str]) -> None:
    """`run` of workflows, and functions that get the step object, are looked at; the rest is left alone."""
    assert [rule for rule, _ in found(source)] == rules


@pytest.mark.parametrize("folder", ["examples", "tests/flows", "bench", pytest.param("src", marks=pytest.mark.long)])
def test_good_code_has_no_findings(folder: str) -> None:
    """Our own workflows, and all other code, give no false alarm."""
    root = Path(__file__).parent.parent.parent

    assert [str(finding) for file in sorted((root / folder).rglob("*.py")) for finding in check(file)] == []
