"""JSON of all kinds as the params of an instance: it comes back as it was sent, or is refused and changes nothing."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell.store.operations import RegisterWorkflow
from tests.api.conftest import NOW
from tests.api.histories import ACCOUNT
from tests.api.one_server import OneServer

INSTANCES = f"/client/v4/accounts/{ACCOUNT}/workflows/order/instances"
LARGEST_DEPTH = 256

numbers = st.sampled_from(
    ["0", "-0", "1E5", "1e400", "-1e-400", "9" * 400, "-" + "9" * 5_000, "0.1000", "1.0", "01", "+1", ".5", "1.", "NaN"]
)
texts = st.one_of(
    st.sampled_from(['"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\t"', '"\x00"', '"']),
    st.sampled_from(['"\\u202e"', '"</script>"', '"{\\"a\\": 1}"', '"[1"', '"=1+1"', '"\\"\\\\ud800\\""']),
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
)
names = st.sampled_from(['"a"', '"b"', '""', '"\\u0000"', '"__proto__"', '"$"', '"\\ud800"', "a", "1"])
value = st.recursive(
    numbers | texts | st.sampled_from(["null", "true", "tru", "", "[1,]", "/**/1", "undefined"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{' , '.join(items)}]"),
        st.lists(st.tuples(names, inner), max_size=4).map(
            lambda members: "{" + ",".join(f"{name}:{one}" for name, one in members) + "}"
        ),
    ),
    max_leaves=10,
)
around = st.sampled_from(
    [("", ""), ("[" * 255, "]" * 255), ("[" * 257, "]" * 257), ('{"a":' * 90, "}" * 90), ("[", "")]
)


class Creating(OneServer):
    """A server on which instances are created, each with an id of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.do(RegisterWorkflow(ACCOUNT, "order", "shop", "Order", "0" * 64, "w", "v", NOW))
        self.made = 0

    def count(self) -> int:
        """Return how many instances there are."""
        return int(self.ask(f"{INSTANCES}?per_page=1").json()["result_info"]["total_count"])


@pytest.fixture(scope="module")
def creating() -> Iterator[Creating]:
    """A server."""
    server = Creating()
    yield server
    server.close()


def _exactly(text: str) -> Any:
    """Return JSON with all of its digits, and each member as often as it is there."""
    return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)


def _meant(text: str) -> Any:
    """Return what params mean: what a text says, if that is JSON, as SDKs send it; null is none, which is `{}`."""
    said = _exactly(text)
    if isinstance(said, str) and text.lstrip().startswith('"'):
        with suppress(ValueError):
            said = _exactly(said)
    return () if said is None else said


def _look(creating: Creating, text: str, is_batch: bool) -> None:
    creating.made += 1
    before, id = creating.count(), f"i{creating.made}"
    sent = f'{{"instance_id":"{id}","params":{text}}}'
    target, body = (f"{INSTANCES}/batch", f"[{sent}]") if is_batch else (INSTANCES, sent)

    answer = creating.ask(target, "POST", body.encode(errors="surrogatepass"))

    found = creating.ask(f"{INSTANCES}/{id}")
    if answer.status != 200:
        status, code, message = answer.refusal()
        assert (status, code) == (400, 10002)
        assert 0 < len(message) < 1_000
        assert (found.status, creating.count()) == (404, before)
        return
    assert creating.count() == before + 1
    told = _exactly(found.body.decode())
    assert dict(dict(told)["result"])["params"] == _meant(text)


@settings(max_examples=100)
@given(value, around, st.booleans())
@example('{"a":1,"a":2}', ("", ""), False)
@example("[" * 200_000, ("", ""), False)
@example("9" * 5_000, ("", ""), False)
@example('"\\ud800"', ("", ""), True)
@example("1", ("[" * LARGEST_DEPTH, "]" * LARGEST_DEPTH), False)
def test_value_comes_back_as_it_was_sent_or_changes_nothing(
    creating: Creating, value: str, around: tuple[str, str], is_batch: bool
) -> None:
    """Digits, members that are there twice and empty names are kept; what is no JSON is 400, and nothing is made."""
    _look(creating, value.join(around), is_batch)


@pytest.mark.long
# A time-out ends an example in the middle, which Hypothesis takes for a value that fails, or a strategy that is not the
# same twice, and goes on with it without one: so few examples that a machine thirty times as slow gets there.
@pytest.mark.timeout(600)
@settings(max_examples=2_000)
@given(value, around, st.booleans())
def test_value_comes_back_as_it_was_sent_or_changes_nothing_at_length(
    creating: Creating, value: str, around: tuple[str, str], is_batch: bool
) -> None:
    """The same for many more values."""
    _look(creating, value.join(around), is_batch)
