"""Graphs to draw: short words for their nodes, one of each kind, and random ones."""

from typing import Any

from hypothesis import strategies as st

from stepwell.graph import nodes
from stepwell.graph.nodes import AnyNode, Graph

DEFAULT = nodes.Config(retries=nodes.Retries(limit=5, delay=10_000, backoff="exponential"), timeout="10 minutes")
TWICE = nodes.Config(retries=nodes.Retries(limit=2, delay="1 second", backoff="constant"), timeout=30_000)


def do(name: str, *inner: AnyNode, **more: Any) -> nodes.StepDo:
    """A step."""
    return nodes.StepDo(**{"key": name, "name": name, "config": DEFAULT, "nodes": inner, **more})


def sleep(name: str, duration: nodes.Duration = "1 hour") -> nodes.StepSleep:
    """A sleep."""
    return nodes.StepSleep(key=name, name=name, duration=duration)


def wait(name: str, event_type: str = "approve") -> nodes.StepWait:
    """A wait for an event."""
    options = nodes.EventOptions(event_type=event_type, timeout="1 day")
    return nodes.StepWait(key=name, name=name, options=options)


def loop(label: str, *inner: AnyNode) -> nodes.Loop:
    """A loop."""
    return nodes.Loop(key=label, label=label, nodes=inner)


def parallel(*inner: AnyNode, kind: nodes.Kind = "all") -> nodes.Parallel:
    """Branches at the same time."""
    return nodes.Parallel(key="parallel", kind=kind, nodes=inner)


def block(*inner: AnyNode, label: str = "") -> nodes.Block:
    """A block."""
    return nodes.Block(label=label, nodes=inner)


def when(*branches: tuple[str | None, tuple[AnyNode, ...]]) -> nodes.If:
    """Branches by conditions."""
    return nodes.If(branches=tuple(nodes.Branch(condition=condition, nodes=inner) for condition, inner in branches))


def ends(word: str, key: str = "") -> nodes.Break:
    """An end."""
    return nodes.Break(key=key, kind="break" if word in {"break", "continue"} else "return", word=word)


def call(name: str) -> nodes.FunctionCall:
    """A call of a helper."""
    return nodes.FunctionCall(key=f"call of {name}", name=name)


def helper(name: str, *inner: AnyNode) -> nodes.FunctionDef:
    """A helper."""
    return nodes.FunctionDef(name=name, nodes=inner)


def graph(*inner: AnyNode, helpers: tuple[nodes.FunctionDef, ...] = (), **more: Any) -> Graph:
    """A graph."""
    functions = {one.name: one for one in helpers}
    return Graph(**{"class_name": "Order", "nodes": inner, "functions": functions, **more})


ORDER = graph(
    do("validate", place=nodes.Place(file="flows.py", line=7, last_line=8)),
    when(("not ok", (do("reject"), ends("return")))),
    parallel(do("charge", config=TWICE), do("reserve", has_rollback=True)),
    loop("for item in items", do("pack {item}")),
    sleep("cool down"),
    nodes.Try(
        try_block=block(wait("approval")),
        catch_block=block(
            block(do("escalate"), label="except TimeoutError"), block(ends("raise"), label="except OSError")
        ),
        finally_block=block(call("notify")),
    ),
    nodes.Switch(
        discriminant="kind",
        branches=(
            nodes.Branch(condition="'gift'", nodes=(do("wrap"),)),
            nodes.Branch(condition=None, nodes=()),
        ),
    ),
    do("ship", child="shipping"),
    call("notify"),
    helpers=(helper("notify", do("send mail")),),
    payload=nodes.Shape(type="object", fields={"items": nodes.Shape(type="unknown")}),
    remarks=("flows.py:40: the name of a step is not known beforehand",),
)
DAG = graph(
    parallel(do("north"), do("east"), do("best", depends=("north", "east")), do("report", depends=("best", "north")))
)
SAMPLES = {"order": ORDER, "dag": DAG}


_NAMES = st.text(max_size=60)
_LEAVES = (
    st.builds(do, _NAMES, has_rollback=st.booleans(), child=st.none() | _NAMES)
    | st.builds(sleep, _NAMES, st.integers(0, 10**9) | _NAMES)
    | st.builds(wait, _NAMES, _NAMES)
    | st.builds(ends, st.sampled_from(("return", "raise", "break")))
    | st.builds(call, st.sampled_from(("once", "often", "unknown")))
)


@st.composite
def _waiting(draw: st.DrawFn) -> nodes.Parallel:
    """Draw steps of which some wait for others."""
    count = draw(st.integers(1, 12))
    waits = [draw(st.sets(st.integers(0, max(at - 1, 0)), max_size=3)) for at in range(count)]
    return parallel(*(do(f"b{at}", depends=tuple(f"b{before}" for before in waits[at])) for at in range(count)))


def _around(inner: st.SearchStrategy[AnyNode]) -> st.SearchStrategy[AnyNode]:
    several = st.lists(inner, max_size=5).map(tuple)
    blocks = several.map(lambda its: block(*its))
    branch = st.tuples(_NAMES | st.none(), several)
    tried = st.builds(nodes.Try, try_block=blocks, catch_block=blocks | st.none(), finally_block=blocks | st.none())
    loops = st.builds(lambda label, its: loop(label, *its), _NAMES, several)
    steps = st.builds(lambda label, its: do(label, *its), _NAMES, several)
    parallels = st.lists(inner | blocks, max_size=12).map(lambda its: parallel(*its))
    return loops | steps | parallels | blocks | st.lists(branch, max_size=4).map(lambda its: when(*its)) | tried


NODES = st.recursive(_LEAVES | _waiting(), _around, max_leaves=16)
GRAPHS = st.builds(
    lambda inner, once, often, name: graph(
        *inner, class_name=name, helpers=(helper("once", *once), helper("often", *often))
    ),
    st.lists(NODES, max_size=6),
    st.lists(NODES, max_size=2),
    st.lists(NODES, max_size=2),
    _NAMES,
)
