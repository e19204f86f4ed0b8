"""What the machine draws: which operation is next, of what, and what is said with it."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.model.account import Declared, Search
from tests.model.instance import PROGRAMS, Kept
from tests.model.oracle import MINUTE_MS

# The workflow of an instance, and its id.
Place = tuple[str, str]

# Operations, each as often as it is to be drawn. Rules of Hypothesis's own would not do: of many it leaves out most in
# an example, and what an operation needs to fail, or to succeed, would hardly ever be there.
LOT: list[tuple[str, st.SearchStrategy[dict[str, Any]]]] = []
_HALF_AN_HOUR = 30 * MINUTE_MS
# The class that each workflow is made of, and what that declares.
MADE_OF = {
    "plain": ("Plain", Declared()),
    "narrow": ("Narrow", Declared(limit=1)),
    "keyed": ("Keyed", Declared(per_key=1, rate_per_key=(2, _HALF_AN_HOUR))),
    "paced": ("Paced", Declared(rate=(2, _HALF_AN_HOUR))),
    "hourly": ("Hourly", Declared()),
    "errand": ("Errand", Declared()),
    "made": ("Plain", Declared()),
}
# The ids of a key; all others are of another one.
KEYS = {"a": "x", "b": "x"}
CRON, LATE = "0 */6 * * *", "0 0 * * *"

places = st.sampled_from(
    [
        *[("plain", id) for id in "aaabbbc"],
        *[("narrow", id) for id in "aabbc"],
        *[("keyed", id) for id in "aabbc"],
        *[("paced", id) for id in "aab"],
        # The newest child of an instance.
        *[("errand", "of plain/a"), ("errand", "of plain/b"), ("errand", "of narrow/a"), ("errand", "of paced/a")],
        *[("hourly", "a"), ("made", "a"), ("plain", "none"), ("nowhere", "a")],
    ]
)
names = st.sampled_from(["plain", "narrow", "keyed", "paced", "hourly", "errand", "made", "nowhere"])
# Those that wait for events are what most rules are about.
programs = st.sampled_from(
    [*sorted(PROGRAMS), *["asking", "patient", "booking", "hiring", "hiring", "pouring", "sending"]]
)
labels = st.sampled_from([(), (), (("env", "a"),), (("env", "b"), ("who", "ann")), (("env", "two\nlines"),)])
minutes = st.sampled_from([None, 5, 20, 60])
# Now and then something is sent twice, or a key comes with something else.
keys = st.sampled_from([None, None, None, "k", "l"])
kept = st.builds(lambda a, b: Kept(a and a * MINUTE_MS, b and b * MINUTE_MS), minutes, minutes)
searches_for = st.sampled_from(
    [
        Search(),
        Search(statuses=("waiting", "paused")),
        Search(statuses=("complete", "errored", "terminated")),
        Search(statuses=("queued", "running")),
        Search(labels=(("env", "a"),)),
        Search(prefix="a"),
        Search(trigger="cron"),
        Search(error="ValueError"),
        Search(least_ms=MINUTE_MS),
    ]
)


def params_of(name: str, id: str | None, program: str) -> str:
    """Return the params of an instance, as JSON: where there are keys, they name one."""
    if name == "keyed":
        return f'{{"program":"{program}","key":"{KEYS.get(id or "", "y")}"}}'
    return f'"{program}"'


def operation(weight: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a method be done so often, with what is drawn for it."""

    def register(method: Callable[..., None]) -> Callable[..., None]:
        LOT.extend([(method.__name__, st.fixed_dictionaries(drawn))] * weight)
        return method

    return register


def operations() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Return what draws an operation, by its name, and what goes with it."""
    return st.sampled_from(LOT).flatmap(lambda drawn: st.tuples(st.just(drawn[0]), drawn[1]))
