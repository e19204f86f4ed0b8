"""`POST .../stepwell/checks/{name}`: what would become of instances on code that is uploaded."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.engine import Engine
from stepwell.store.operations import GetInstance, ListWorkflows
from stepwell.store.snapshot_operations import ListServed
from stepwell.upload_form import form_of
from tests.api.deploying import deployments
from tests.api.histories import Histories

CHECKS = "/client/v4/accounts/local/stepwell/checks/shop"
FLOW = b"""from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", print)
"""


@pytest.fixture
def app(engine: Engine, histories: Histories, tmp_path: Path) -> ASGIApp:
    """An application that takes code."""
    return create_app(engine, account=None, hosts=None, deployments=deployments(engine, folder=tmp_path))


async def _check(app: ASGIApp, flow: bytes, query: str = "") -> httpx.Response:
    media_type, form = form_of({"main_module": "shop.py"}, {"shop.py": flow})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8787") as client:
        return await client.post(CHECKS + query, content=form, headers={"content-type": media_type})


def _said(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_instances_are_held_against_code_that_is_uploaded(
    app: ASGIApp, engine: Engine, histories: Histories, tmp_path: Path
) -> None:
    """Those that would not go on are named, the others counted; nothing is kept, served or written."""
    await histories.queued("order", "a")
    await histories.complete("order", "done")
    before = await engine.store.run(GetInstance("local", "order", "a"))

    begun, done = _said(await _check(app, FLOW))
    assert (begun["looked_at"], begun["is_done"]) == (0, False)
    assert (done["looked_at"], done["verdicts"]["goes on"], done["is_done"]) == (1, 1, True)

    _, missing, done = _said(await _check(app, FLOW.replace(b"Order", b"Parcel")))
    assert (missing["workflow"], missing["id"], missing["verdict"]) == ("order", "a", "missing")
    assert missing["problem"] == 'the code has no workflow "order"'
    assert done["verdicts"]["missing"] == 1

    assert await engine.store.run(GetInstance("local", "order", "a")) == before
    assert await engine.store.run(ListServed("local", 10)) == []
    assert (await engine.store.run(ListWorkflows("local", 10, 0))).total == 1
    assert list(tmp_path.iterdir()) == []


async def test_instances_of_one_workflow_are_looked_at(app: ASGIApp, histories: Histories) -> None:
    """What other workflows have is left alone, and one that there is not is named."""
    await histories.register("parcel")
    await histories.queued("order", "a")
    await histories.queued("parcel", "b")

    said = _said(await _check(app, FLOW.replace(b"Order", b"Other"), "?workflow=parcel"))
    unknown = await _check(app, FLOW, "?workflow=letter")

    assert [one["id"] for one in said if "verdict" in one] == ["b"]
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (404, 10200)


async def test_code_that_cannot_be_loaded_is_refused_with_its_report(app: ASGIApp, engine: Engine) -> None:
    """As a deployment would be, without the place where it lay; and where none is taken, no check is."""
    broken = await _check(app, b"import nothing_of_the_kind\n")
    nobody = await _check(create_app(engine, account=None, hosts=None), FLOW)

    (error,) = broken.json()["errors"]
    assert (broken.status_code, error["code"]) == (400, 10021)
    assert "No module named 'nothing_of_the_kind'" in error["message"]
    assert 'File "shop.py", line 1' in error["message"]
    assert nobody.status_code == 403
    assert "--allow-deploy" in nobody.json()["errors"][0]["message"]
