"""The graph of a version, and what an instance has done of it."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.graph.listing import with_sources
from stepwell.graph.source import graph_of
from stepwell.store.code_graph import CodeGraph
from stepwell.store.operations import RegisterWorkflow
from tests.api.asgi import ask
from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

SOURCE = """import asyncio
class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        for n in range(3):
            await step.do("charge", work)
        await asyncio.gather(step.sleep("cool down", "1 minute"), self.agreed(step))
        await step.do("ship", work)

    async def agreed(self, step):
        await step.wait_for_event(f"appro{self.v}", "approved")
"""
OWN = "stepwell/workflows/order"


@pytest.fixture
async def drawn(histories: Histories) -> None:
    """The graph of `SOURCE`."""
    await histories.draw(graph_of({"shop.py": SOURCE}, "shop.py", "Order"))


async def result(client: httpx.AsyncClient, path: str) -> Any:
    """Return what a route answers."""
    return (await client.get(path)).json()["result"]


@pytest.mark.parametrize("form", ["graph", "dag"])
async def test_version_has_its_graph(client: httpx.AsyncClient, drawn: None, form: str) -> None:
    """In Cloudflare's form, and in the older one; the version tells that there is one, also in lists."""
    shown = (await result(client, f"workflows/order/versions/{VERSION_ID}/{form}"))[form]
    listed = await result(client, "workflows/order/versions")

    config = {"retries": {"limit": 5, "delay": 10000, "backoff": "exponential"}, "timeout": "10 minutes"}
    nap = {"type": "step_sleep", "name": "cool down", "duration": "1 minute"}
    wait = {"event_type": "approved", "timeout": "24 hours"}
    agreed = {"type": "step_wait_for_event", "name": "appro{self.v}", "options": wait}
    assert shown == {
        "version": 1,
        "workflow": {
            "class_name": "Order",
            "functions": {"agreed": {"type": "function_def", "name": "agreed", "nodes": [agreed]}},
            "nodes": [
                {"type": "loop", "nodes": [{"type": "step_do", "name": "charge", "config": config, "nodes": []}]},
                {"type": "parallel", "kind": "all", "nodes": [nap, {"type": "function_call", "name": "agreed"}]},
                {"type": "step_do", "name": "ship", "config": config, "nodes": []},
            ],
        },
    }
    assert [version["has_dag"] for version in listed] == [True]


async def test_graph_is_that_of_the_code(client: httpx.AsyncClient, drawn: None) -> None:
    """A version that a PUT has made of the same code has the same graph."""
    put = await client.put("workflows/order", json={"script_name": "shop", "class_name": "Order"})
    version = put.json()["result"]["version_id"]

    shown = await result(client, f"workflows/order/versions/{version}/graph")

    assert version != VERSION_ID
    assert shown["graph"]["workflow"]["class_name"] == "Order"


async def test_code_that_cannot_be_read_has_no_graph(client: httpx.AsyncClient, histories: Histories) -> None:
    """Cloudflare's form is null then, and ours says why."""
    await histories.draw(None, "shop.py has no class Order in its source")

    version = await result(client, f"workflows/order/versions/{VERSION_ID}")
    shown = await result(client, f"workflows/order/versions/{VERSION_ID}/graph")
    own = await result(client, f"{OWN}/versions/{VERSION_ID}/graph")

    assert (version["has_dag"], shown["graph"], own["nodes"]) == (False, None, None)
    assert own["note"] == "shop.py has no class Order in its source"


@pytest.mark.parametrize("body", ["{}", "[]", '{"class_name": 1}', "nonsense"])
async def test_graph_of_another_form_is_none(client: httpx.AsyncClient, histories: Histories, body: str) -> None:
    """What another release has written, and this one cannot read, is no error."""
    made_of = ("order", "shop", "Order", "0" * 64)
    await histories.engine.store.run(
        RegisterWorkflow("local", *made_of, WORKFLOW_ID, VERSION_ID, histories.clock.now(), graph=CodeGraph(body))
    )

    own = await result(client, f"{OWN}/versions/{VERSION_ID}/graph")

    assert own["nodes"] is None
    assert own["note"].startswith("the code of this version was not read")


async def test_own_graph_has_places_and_keys(client: httpx.AsyncClient, drawn: None) -> None:
    """Each node has its key and its lines in the source; a name that is not known has a pattern."""
    own = await result(client, f"{OWN}/versions/{VERSION_ID}/graph")

    loop = own["nodes"][0]
    (wait,) = own["functions"]["agreed"]["nodes"]
    assert (own["version_id"], own["class_name"], own["note"], own["remarks"]) == (VERSION_ID, "Order", "", [])
    assert (loop["key"], loop["label"]) == ("1", "for n in range(3)")
    assert loop["place"] == {"file": "shop.py", "line": 4, "last_line": 5}
    assert wait["pattern"] == "appro.*"


async def test_source_is_that_of_the_version(client: httpx.AsyncClient, histories: Histories) -> None:
    """The files that nodes lie in, the script first; others of the folder, and the graph itself, are not there."""
    files = {"shop.py": "from bank import pay\n" + SOURCE, "bank.py": "x = 1\n", "other.py": "SECRET = 1\n"}
    graph = graph_of(files, "shop.py", "Order")
    assert graph is not None
    await histories.draw(with_sources(graph, files, "shop.py"))

    source = await result(client, f"{OWN}/versions/{VERSION_ID}/source")

    assert source == {
        "version_id": VERSION_ID,
        "class_name": "Order",
        "files": [{"path": "shop.py", "text": files["shop.py"]}],
        "left_out": [],
        "note": "",
    }
    assert "sources" not in await result(client, f"{OWN}/versions/{VERSION_ID}/graph")


async def test_source_that_is_too_large_is_named(client: httpx.AsyncClient, histories: Histories) -> None:
    """The answer has a bound; what is not in it is said."""
    files = {"shop.py": SOURCE + "#" * 300_000}
    graph = graph_of(files, "shop.py", "Order")
    assert graph is not None
    await histories.draw(with_sources(graph, files, "shop.py"))

    source = await result(client, f"{OWN}/versions/{VERSION_ID}/source")

    assert (source["files"], source["left_out"]) == ([], ["shop.py"])
    assert "too large" in source["note"]


async def test_version_without_source_says_so(client: httpx.AsyncClient, drawn: None) -> None:
    """Such as one that an earlier release has loaded."""
    source = await result(client, f"{OWN}/versions/{VERSION_ID}/source")

    assert source["files"] == []
    assert source["note"].startswith("its source was not kept")


async def test_source_that_could_not_be_followed_says_what_helps(
    client: httpx.AsyncClient, histories: Histories
) -> None:
    """Where no snapshot has it either."""
    await histories.draw(None, "shop.py is too deep")

    source = await result(client, f"{OWN}/versions/{VERSION_ID}/source")

    assert source["files"] == []
    assert "cannot be read from it (shop.py is too deep)" in source["note"]
    assert "`stepwell serve` keeps all files" in source["note"]


@pytest.mark.parametrize(
    ("served", "paths"),
    [
        pytest.param("shop.py", ["shop.py", "bank.py", "flows/a.py", "flows/shop.py"], id="file"),
        pytest.param("flows", ["shop.py", "a.py"], id="folder"),
        pytest.param("flows/a.py", ["a.py", "shop.py"], id="file in a folder"),
        pytest.param(".", ["shop.py", "bank.py", "flows/a.py", "flows/shop.py"], id="all"),
    ],
)
async def test_source_without_a_graph_is_that_of_the_snapshot(
    client: httpx.AsyncClient, histories: Histories, served: str, paths: list[str]
) -> None:
    """The Python files of the script's folder, and what declares the class first; no data, and nothing beside it."""
    texts = {"bank.py": "x = 1\n", "flows/a.py": "", "flows/shop.py": SOURCE, "logo.png": "x", "shop.py": SOURCE}
    version = await histories.serve(served, texts)

    source = await result(client, f"{OWN}/versions/{version}/source")

    assert [file["path"] for file in source["files"]] == paths
    assert (source["class_name"], source["left_out"], source["note"]) == ("Order", [], "")
    assert source["files"][0]["text"] == (SOURCE if paths[0] == "shop.py" else "")


async def test_source_as_a_whole_is_that_of_the_snapshot(client: httpx.AsyncClient, histories: Histories) -> None:
    """All Python files of the script's folder, also where the graph lies in one of them; without a snapshot none."""
    files = {"bank.py": "x = 1\n", "shop.py": SOURCE}
    graph = graph_of(files, "shop.py", "Order")
    assert graph is not None
    await histories.draw(with_sources(graph, files, "shop.py"))
    version = await histories.serve("shop.py", files, graph=with_sources(graph, files, "shop.py"))

    short, whole, none = [
        await result(client, f"{OWN}/versions/{path}")
        for path in (f"{version}/source?whole=false", f"{version}/source?whole=true", f"{VERSION_ID}/source?whole=true")
    ]

    assert [[file["path"] for file in one["files"]] for one in (short, whole)] == [["shop.py"], ["shop.py", "bank.py"]]
    assert (none["files"], none["note"].partition(":")[0]) == ([], "the store has no snapshot of it")
    assert (await client.get(f"{OWN}/versions/{version}/source?whole=1")).status_code == 400


async def test_snapshot_shows_as_much_source_as_fits(client: httpx.AsyncClient, histories: Histories) -> None:
    """The script itself first; what has no room is named."""
    texts = {"a.py": "#" * 200_000, "huge.py": "#" * 5_000_000, "shop.py": SOURCE + "#" * 100_000}
    version = await histories.serve("shop.py", texts)

    source = await result(client, f"{OWN}/versions/{version}/source")

    assert ([file["path"] for file in source["files"]], source["left_out"]) == (["shop.py"], ["a.py", "huge.py"])


async def test_version_is_told_with_what_it_is_made_of(client: httpx.AsyncClient, histories: Histories) -> None:
    """The hash of its code, its snapshot if there is one, and the schema of its params as it is."""
    version = await histories.serve("shop.py", {"shop.py": SOURCE}, '{"type":"object","maxProperties":1.0}')

    first = await result(client, f"{OWN}/versions/{VERSION_ID}")
    served = (await client.get(f"{OWN}/versions/{version}")).text

    assert first == {
        "version_id": VERSION_ID,
        "class_name": "Order",
        "script_name": "shop",
        "created_on": "2026-11-23T10:00:00.000Z",
        "sha256": "0" * 64,
        "snapshot": None,
        "source": None,
        "python": None,
        "params_schema": None,
    }
    shown = f'"sha256":"{"1" * 64}","snapshot":1,"source":"shop.py","python":"3.13.1","params_schema":'
    assert shown + '{"type":"object","maxProperties":1.0}' in served


async def test_nodes_stand_as_their_entries_do(client: httpx.AsyncClient, histories: Histories, drawn: None) -> None:
    """By key: status, how often it ran, its entries; a helper and its calls stand as what is in them."""
    await histories.waiting("order", "a")

    shown = await result(client, f"{OWN}/instances/a/graph")

    stand = {key: (state["status"], state["runs"]) for key, state in shown["states"].items()}
    assert shown["status"] == "waiting"
    assert stand == {
        "1": ("notReached", 0),
        "2": ("notReached", 0),
        "3": ("waiting", 1),
        "4": ("waiting", 1),
        "5": ("waiting", 1),
        "6": ("notReached", 0),
        "7": ("waiting", 1),
        "agreed()": ("waiting", 1),
    }
    assert shown["states"]["7"]["entries"] == [{"name": "approval-1", "type": "waitForEvent", "status": "waiting"}]
    assert shown["others"] == []


async def test_graph_is_drawn(client: httpx.AsyncClient, histories: Histories, drawn: None) -> None:
    """That of a version, and with how its nodes stand that of an instance; the picture may load and run nothing."""
    await histories.waiting("order", "a")

    version = await client.get(f"{OWN}/versions/{VERSION_ID}/graph?format=svg&theme=dark")
    instance = await client.get(f"{OWN}/instances/a/graph?format=svg")

    assert version.headers["content-type"] == "image/svg+xml"
    assert version.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert version.text.startswith('<svg xmlns="http://www.w3.org/2000/svg" class="stepwell-graph dark"')
    assert "waiting" not in version.text.partition("</style>")[2]
    assert '<g class="item sleep waiting" data-key="4"' in instance.text


async def test_graph_that_is_not_there_is_not_drawn(client: httpx.AsyncClient, histories: Histories) -> None:
    """The refusal says why there is none."""
    await histories.draw(None, "shop.py has no class Order in its source")

    answer = await client.get(f"{OWN}/versions/{VERSION_ID}/graph?format=svg")

    assert answer.status_code == 404
    (error,) = answer.json()["errors"]
    assert error["code"] == 19002
    assert error["message"].endswith("there is no graph to draw: shop.py has no class Order in its source")


async def test_entries_without_a_node_are_told(client: httpx.AsyncClient, histories: Histories, drawn: None) -> None:
    """What the log has and no node stands for is listed; what an end interrupted has failed."""
    await histories.complete("order", "a")

    shown = await result(client, f"{OWN}/instances/a/graph")

    assert shown["states"]["2"]["status"] == "complete"
    assert {"name": "silence-1", "type": "waitForEvent", "status": "errored"} in shown["others"]


async def test_without_a_graph_all_entries_are_told(client: httpx.AsyncClient, histories: Histories) -> None:
    """What ran is known all the same."""
    await histories.waiting("order", "a")

    shown = await result(client, f"{OWN}/instances/a/graph")

    assert (shown["nodes"], shown["states"]) == (None, {})
    assert [entry["name"] for entry in shown["others"]] == ["cool down-1", "approval-1"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param(f"{OWN}/instances/none/graph", 10400, id="instance"),
        pytest.param(f"{OWN}/versions/{WORKFLOW_ID}/graph", 10300, id="version"),
        pytest.param(f"{OWN}/versions/{WORKFLOW_ID}", 10300, id="code of a version"),
        pytest.param(f"{OWN}/versions/{WORKFLOW_ID}/source", 10300, id="source of a version"),
        pytest.param("stepwell/workflows/none/instances/a/graph", 10200, id="workflow"),
    ],
)
async def test_graph_of_what_is_not_there_is_404(app: ASGIApp, histories: Histories, path: str, code: int) -> None:
    """As everything of it."""
    assert (await ask(app, path)).refusal()[:2] == (404, code)
