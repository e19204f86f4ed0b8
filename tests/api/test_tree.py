"""`GET .../tree`: an instance and those that it awaits."""

import httpx
from starlette.types import ASGIApp

from stepwell.core.records import Created
from stepwell.store import codec
from stepwell.store.child_operations import ChildLink, StartChild
from stepwell.store.operations import CreateInstance
from tests.api.asgi import ask
from tests.api.histories import Histories

TREE = "stepwell/workflows/order/instances/i/tree"


async def test_children_stand_behind_who_awaits_them(client: httpx.AsyncClient, histories: Histories) -> None:
    """With workflow, id, status and depth; an instance that awaits nobody stands alone."""
    await histories.register("shipping")
    turn = await histories.turn("order", "i")
    record = codec.to_row(Created(turn.now(), "binding", "{}"))
    creation = CreateInstance("local", "shipping", "i-1", "binding", record, turn.now())
    await turn.store.run(StartChild(creation, ChildLink(turn.claim.row, turn.claim.turn, "child:shipping/i-1")))

    parent = (await client.get(TREE)).json()["result"]
    child = (await client.get("stepwell/workflows/shipping/instances/i-1/tree")).json()["result"]

    below = {"workflow": "shipping", "id": "i-1", "status": "queued"}
    assert parent == {
        "instances": [{"workflow": "order", "id": "i", "status": "running", "depth": 0}, {**below, "depth": 1}],
        "is_whole": True,
    }
    assert child == {"instances": [{**below, "depth": 0}], "is_whole": True}


async def test_tree_of_an_unknown_instance_is_404(app: ASGIApp, histories: Histories) -> None:
    """As everything of it."""
    status, code, message = (await ask(app, TREE)).refusal()

    assert (status, code) == (404, 10400)
    assert message.startswith("workflows.api.error.instance.not_found: ")
