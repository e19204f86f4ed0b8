"""Whatever stands in a source file: `stepwell check` and `stepwell graph` say what they find, and run nothing."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell.cli.terminal import clean
from tests.cli.commands import run

HEAD = "from stepwell import WorkflowEntrypoint\nopen(MARK, 'w')\nclass Flow(WorkflowEntrypoint):\n"
RUN = f"{HEAD}    async def run(self, event, step):\n"

NAMES = ["step", "event", "self", "work", "x", "time", "asyncio", "\ufb01", "_" * 300]
LITERALS = [
    "1",
    "'a'",
    "'\\ud800'",
    "'\\x1b]0;x\\x07'",
    "'\u202eb'",
    "1e400",
    "-1",
    "0x" + "f" * 2_000,
    "9" * 5_000,
    "10**10**10",
    "'a' * 10**10",
    "f'{x}{y!r:>{z}}'",
    "[open(MARK, 'w')]",
    "__import__('os')",
    "'5 fortnights'",
    "b'\\0'",
    "...",
]
literal = st.sampled_from([*NAMES, *LITERALS])
method = st.sampled_from(["do", "sleep", "sleep_until", "wait_for_event", "child", "log", "nothing"])
expression = st.recursive(
    literal,
    lambda inner: st.one_of(
        st.builds("{}({})".format, inner, inner),
        st.builds("await step.{}({}, {})".format, method, inner, inner),
        st.builds("await step.{}(*{}, **{})".format, method, inner, inner),
        st.builds("{{'retries': {{'limit': {}, 'delay': {}}}, 'timeout': {}}}".format, inner, inner, inner),
        st.builds("[{} for x in {} if {}]".format, inner, inner, inner),
        st.builds("(lambda x={}: {})".format, inner, inner),
        st.builds("{}.a[{}:{}]".format, inner, inner, inner),
        st.builds("(x := {}) if {} else {}".format, inner, inner, inner),
        st.builds("asyncio.gather({}, {})".format, inner, inner),
    ),
    max_leaves=8,
)
line = st.one_of(
    expression,
    st.builds("x = {}".format, expression),
    st.builds("@step.do({})".format, expression),
    st.builds("def x(step={}): return {}".format, expression, expression),
    st.builds("async def x(step): {}".format, expression),
    st.builds("for x in {}: {}".format, expression, expression),
    st.builds("while {}: break".format, expression),
    st.builds("with {} as x: {}".format, expression, expression),
    st.builds("try: {}\n        except* {}: {}".format, expression, expression, expression),
    st.builds("match {}:\n         case {}: {}".format, expression, expression, expression),
    st.builds("global x; del {}; raise {}".format, expression, expression),
    st.builds("from {} import x as {}".format, st.sampled_from(["..", "x.y", "stepwell", "os", "."]), expression),
    st.text(max_size=20),
)
BEGINNINGS = [
    b"",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x0c",
    *(f"# coding: {name}\n".encode() for name in ("latin-1", "utf-7", "rot13", "zlib", "undefined", "idna", "utf-16")),
]
NESTED = {
    "parentheses": f"{RUN}        {'(' * 5_000}{')' * 5_000}",
    "signs": f"{RUN}        x = {'-' * 20_000}1",
    "attributes": f"{RUN}        x = {'a.' * 20_000}b",
    "sum": f"{RUN}        x = {'+'.join(['1'] * 20_000)}",
    "lambdas": f"{RUN}        x = {'lambda: ' * 500}1",
    "blocks": RUN + "".join(f"        {' ' * depth}if x:\n" for depth in range(99)) + " " * 200 + "pass\n",
    "comment": RUN + "        await step.do('a', x)  # stepwell: ignore[" + "a," * 20_000,
    "classes": "class A(A): pass\n" * 1_000,
}
FORMS = ("text", "svg", "mermaid", "dot", "json", "yaml")


@st.composite
def sources(draw: st.DrawFn) -> bytes:
    """Draw a file that is almost Python, sometimes with some of its bytes changed."""
    lines = "".join(f"        {one}\n" for one in draw(st.lists(line, min_size=1, max_size=5)))
    text = (draw(st.sampled_from(BEGINNINGS)) + RUN.encode()) + lines.encode(errors="surrogatepass")
    end = draw(st.sampled_from([b"\n", b"\n", b"\r", b"\r\n"]))
    for place, put in draw(st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=2)):
        at = int(place * len(text))
        text = text[:at] + put + text[at:]
    return text.replace(b"\n", end)


def _look(source: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, mark = Path(folder, "flow.py"), Path(folder, "was-run")
        file.write_bytes(source.replace(b"MARK", repr(str(mark)).encode()))

        checked = run("check", str(file))
        drawn = {form: run("graph", str(file), "-o", form) for form in FORMS}

        assert not mark.exists()
        assert checked.exit_code in {0, 1}, checked.output
        assert re.search(r"^1 file: (nothing found|\d+ findings?)$", checked.stderr, re.MULTILINE)
        for told in (checked, *drawn.values()):
            assert isinstance(told.exception, SystemExit | None), told.exception
            assert "Traceback" not in told.stderr
            assert all(text == clean(text) for text in told.output.split("\n"))
        assert len({told.exit_code for told in drawn.values()}) == 1
        assert {told.exit_code for told in drawn.values()} <= {0, 1}
        assert all(told.stderr for told in drawn.values() if told.exit_code)


@settings(max_examples=20)
@given(sources())
@example(b"# coding: rot13\nx")
@example(f"{RUN}        await step.do('\\ud800', x)\n".encode())
@example(f"{RUN}        await step.do('a' * 10**10, 10**10**10)\n".encode())
@example(f"{RUN}        await step.sleep('a', 0x{'f' * 5_000})\n".encode())
def test_source_has_a_verdict_and_is_not_run(source: bytes) -> None:
    """No fault of ours, nothing that a terminal obeys, and nothing of the file is run."""
    _look(source)


@pytest.mark.parametrize("kind", NESTED)
def test_source_that_is_nested_has_a_verdict(kind: str) -> None:
    """However deep, long or wide."""
    _look(NESTED[kind].encode())


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=2_000)
@given(sources())
def test_source_has_a_verdict_and_is_not_run_at_length(source: bytes) -> None:
    """The same for many more sources."""
    _look(source)
