"""`-o yaml`: what another program reads of it is what `-o json` has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml as reader
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.cli import terminal
from stepwell.cli.output import Column, Output
from stepwell.cli.yaml import document, item
from stepwell.client import Result
from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted

# PyYAML's own, which takes more, and libyaml, which most other languages have.
LOADERS: list[type[reader.SafeLoader | reader.CSafeLoader]] = [reader.SafeLoader]
if reader.__with_libyaml__:
    LOADERS.append(reader.CSafeLoader)
# What some reader takes for a number, a truth, a moment, a place to merge, a comment, or the end of a document.
HOSTILE = [
    *("no", "NO", "y", "On", "null", "~", "", " ", "1e3", "1_000", "0x1f", "0o17", "017", "1:30", ".5", ".nan"),
    *("2026-11-27", "2026-11-27T10:00:00Z", "=", "<<", "- a", "? a", "a: b", "#x", "a #b", "*x", "&x", "!x", "!!int 1"),
    *("---", "...", "%YAML 9.9", "{", "]", "'", '"', "\\", "`", "@", "|", ">", "a\nb\n", "\ta\t", "\r\n", "a" * 3_000),
    *("\x00", "\x1b[31mred", "\x7f", "\x85", "\x9b2J", "\xa0", "\u2028", "\u202e", "\ufeff", "\ufffe", "\uffff"),
    *("\N{ROCKET}", "\U0010ffff", "\u65e5\u672c"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(HOSTILE), inner, max_size=4)
    ),
    max_leaves=12,
)
# What YAML 1.2 takes for a number, in the core schema, and YAML 1.1.
NUMBERS = (
    r"[-+]?[0-9]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    r"[-+]?(0|[1-9][0-9_]*)|[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?",
)


def read(text: str) -> Any:
    """Return what readers of YAML have of a text, who agree."""
    first, *others = [list(reader.load_all(text, loader)) for loader in LOADERS]
    assert others == [first] * len(others)
    return first


def test_text_stays_the_text_that_it_is() -> None:
    """As a value, as a name, in a list and deep in others, whatever some reader would take it for."""
    value = {"names": {text: text for text in HOSTILE}, "deep": [[HOSTILE], {"in": [{"of": HOSTILE}]}]}

    assert read(document(json.dumps(value))) == [value]


@settings(max_examples=60, deadline=None)
@given(JSON, st.booleans())
def test_any_json_is_the_same_in_yaml(value: Any, is_ascii: bool) -> None:
    """Alone, and as an item of a list, also in ASCII; and a terminal obeys nothing of it."""
    token = terminal._is_ascii.set(is_ascii)
    try:
        whole, one = document(json.dumps(value)), item(json.dumps(value))
    finally:
        terminal._is_ascii.reset(token)

    assert read(f"{whole}\n{whole}") == [value, value]
    assert read(f"{one}\n{one}") == [[value, value]]
    assert whole.isascii() or not is_ascii
    assert terminal.clean(whole.replace("\n", "")) == whole.replace("\n", "")


@pytest.mark.parametrize(
    ("digits", "written"),
    [
        ("1.10", "1.10"),
        ("1E3", "1.0E+3"),
        ("1.5e10", "1.5e+10"),
        ("-2e-7", "-2.0e-7"),
        ("-0", "-0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_number_keeps_its_digits(digits: str, written: str) -> None:
    """With the point and the sign that YAML 1.1 wants where there is an exponent."""
    assert document(digits) == f"---\n{written}"
    assert all(re.fullmatch(form, written) for form in NUMBERS)
    assert read(document(digits)) == [json.loads(digits)]


def test_half_of_a_surrogate_pair_is_marked() -> None:
    """YAML has no escape for one."""
    text = '{"id": "a\\ud800", "whole": "\\ud83d\\ude80"}'

    assert read(document(text)) == [{"id": "a\ufffd", "whole": "\N{ROCKET}"}]


def test_member_that_is_there_twice_is_written_once() -> None:
    """The last one, which programs have of JSON: YAML forbids two of a name."""
    assert document('{"a": 1, "b": 2, "a": 3}') == "---\na: 3\nb: 2"


def test_value_that_is_nested_deeply_is_written() -> None:
    """As deep as JSON is read."""
    assert document(f"{'[' * 900}{']' * 900}") == f"---\n{'- ' * 899}[]"


def test_list_comes_item_by_item(capsys: pytest.CaptureFixture[str]) -> None:
    """And is one document."""

    def endless():
        yield {"id": "first", "tags": ["a"]}
        assert capsys.readouterr().out == '- id: "first"\n  tags:\n    - "a"\n'
        yield {"id": "second"}

    count = Output("yaml").show_all(endless(), ())

    assert (count, capsys.readouterr().out) == (2, '- id: "second"\n')


def test_list_without_items_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read it."""
    Output("yaml").show_all([], ())

    assert capsys.readouterr().out == "[]\n"


def test_what_is_watched_is_a_document_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    """Each begins with its mark."""
    for status in ("running", "complete"):
        text = f'{{"status":"{status}","seq":1.10}}'
        Output("yaml").show_one(Result(json.loads(text), text), (Column("id", str),), "i1")

    assert capsys.readouterr().out == '---\nstatus: "running"\nseq: 1.10\n---\nstatus: "complete"\nseq: 1.10\n'


@pytest.mark.parametrize(
    "command", ["hosts list", "limits list", "instances tree order i1", "workflows describe order"]
)
def test_answer_is_there_as_a_whole(command: str) -> None:
    """Also of commands of which other forms have a part."""
    answer = {"instances": [], "workflows": [], "shared": [], "hosts": [{"id": 1}], "name": "no", "is_whole": True}
    with scripted([Answer.result(answer)] * 2) as server:
        whole, same = (run(*command.split(), "-o", form, "--url", server.url).stdout for form in ("yaml", "json"))

    assert read(whole) == [json.loads(same)] == [answer]


def test_findings_of_a_check_are_the_same(tmp_path: Path) -> None:
    """In both forms for programs."""
    (tmp_path / "flow.py").write_text(
        "import time\nfrom stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n"
        '    async def run(self, event, step):\n        time.sleep(1)\n        await step.do("a", print)\n'
    )

    whole, same = (run("check", str(tmp_path / "flow.py"), "-o", form) for form in ("yaml", "json"))

    assert (whole.exit_code, same.exit_code) == (1, 1)
    assert read(whole.stdout) == [json.loads(same.stdout)]
