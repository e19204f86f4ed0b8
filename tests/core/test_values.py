"""Plain JSON: params, events, and what is JSON of results."""

import enum
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import values
from stepwell.errors import NotSerialisable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)
Pair = namedtuple("Pair", "a b")


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    pass


class Whole(int):
    pass


class Real(float):
    pass


def len_of(number: int) -> str:
    """Name a case by what matters of its number."""
    return f"{len(str(number))}-characters-{number % 1000}"


@given(JSON)
def test_json_value_comes_back_the_same(value: Any) -> None:
    """Every JSON value is the same after storing, types included."""
    decoded = values.decode_json(values.encode_json(value))

    assert decoded == value
    assert repr(decoded) == repr(value)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**4299 - 1, 1 - 10**4299], ids=len_of)
def test_integer_keeps_all_its_digits(number: int) -> None:
    """Integers of up to 4,299 digits are exact."""
    assert values.decode_json(values.encode_json(number)) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param((1, 2), "[1,2]", id="tuple"),
        pytest.param(Pair(1, 2), "[1,2]", id="named tuple"),
        pytest.param(Colour.RED, '"red"', id="str enum"),
        pytest.param(Level.HIGH, "3", id="int enum"),
        pytest.param({"é": "\u2028"}, '{"é":"\u2028"}', id="not only ASCII"),
        pytest.param(1.0, "1.0", id="float stays a float"),
        pytest.param(-0.0, "-0.0", id="negative zero"),
    ],
)
def test_value_is_stored_as_the_json_that_people_see(value: object, text: str) -> None:
    """The stored form of a value is its JSON text."""
    assert values.encode_json(value) == text


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _cyclic() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(float("nan"), "result is not serialisable: nan is not a JSON number.", id="nan"),
        pytest.param([1, float("-inf")], "result[1] is not serialisable: -inf is not a JSON number.", id="infinity"),
        pytest.param(
            {"items": [1, {"at": object()}]},
            'result["items"][1]["at"] is not serialisable: a object is not a JSON value.',
            id="path",
        ),
        pytest.param({(1, 2): 2}, "result is not serialisable: the key (1, 2) is not a string.", id="key"),
        pytest.param(
            {"a": {None: 2}}, 'result["a"] is not serialisable: the key None is not a string.', id="key deep inside"
        ),
        pytest.param(
            ["\ud800"],
            "result is not serialisable: a text in it has a lone surrogate, which UTF-8 cannot hold.",
            id="surrogate",
        ),
        pytest.param(
            10**4299, "result is not serialisable: the integer has more than 4,299 digits.", id="too many digits"
        ),
        pytest.param(
            _nested(257),
            "result" + "[0]" * 20 + "... is not serialisable: it is nested more than 256 deep, or contains itself.",
            id="too deep",
        ),
        pytest.param(
            _cyclic(),
            "result" + "[0]" * 20 + "... is not serialisable: it is nested more than 256 deep, or contains itself.",
            id="cycle",
        ),
    ],
)
def test_what_json_cannot_say_is_refused_by_its_path(value: object, message: str) -> None:
    """A refusal names the part at fault and why."""
    with pytest.raises(NotSerialisable) as refused:
        values.encode_json(value)

    assert str(refused.value) == message


def test_the_deepest_value_allowed_comes_back() -> None:
    """A value nested 256 deep is stored and read."""
    assert values.decode_json(values.encode_json(_nested(256))) == _nested(256)


def test_caller_says_what_the_value_is() -> None:
    """A refusal calls the value by the name that its caller gives it."""
    with pytest.raises(NotSerialisable, match=r"^output is not serialisable"):
        values.encode_json(object(), "output")


@pytest.mark.parametrize(
    ("value", "base"),
    [
        pytest.param(Text("a"), "a", id="str"),
        pytest.param(Whole(5), 5, id="int"),
        pytest.param(Whole(2**70), 2**70, id="large int"),
        pytest.param(Real(1.5), 1.5, id="float"),
        pytest.param(Level.HIGH, 3, id="int enum"),
        pytest.param(Colour.RED, "red", id="str enum"),
        pytest.param({Text("k"): Text("v")}, {"k": "v"}, id="key"),
        pytest.param(Pair(1, 2), [1, 2], id="named tuple"),
    ],
)
def test_subclass_of_a_json_type_comes_back_as_that_type(value: object, base: object) -> None:
    """A class of the author's own is not kept, its value is."""
    decoded = values.decode_json(values.encode_json(value))

    assert decoded == base
    assert type(decoded) is type(base)


def test_same_part_in_two_places_is_no_cycle() -> None:
    """A value may hold the same list twice."""
    part = [1]

    assert values.encode_json([part, part]) == "[[1],[1]]"
