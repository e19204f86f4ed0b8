"""What the guides for those who come from elsewhere show, where tests/docs/test_snippets.py does not run it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx2
import pytest

from stepwell import AsyncClient
from stepwell.api import create_app
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.sdk import Conflict
from stepwell.testing import TestEngine, TestInstance
from tests.docs.snippets import shown, snippets

PARCEL, CARRY = shown("docs/guides/migrate-cloudflare.md", "python")


@pytest.fixture
def carry() -> ModuleType:
    """The program of the page."""
    module = ModuleType("carry")
    exec(compile(CARRY, "carry.py", "exec"), vars(module))
    return module


@asynccontextmanager
async def _client(engine: TestEngine) -> AsyncIterator[AsyncClient]:
    transport = httpx2.ASGITransport(create_app(engine.engine, account="local", hosts=LOOPBACK_HOSTS))
    async with httpx2.AsyncClient(transport=transport) as http, AsyncClient(http_client=http) as client:
        yield client


@asynccontextmanager
async def _engine(folder: Path, source: str) -> AsyncIterator[TestEngine]:
    folder.mkdir()
    (folder / "parcel.py").write_text(source)
    async with TestEngine.open(folder / "parcel.py") as engine:
        yield engine


async def _begin(engine: TestEngine) -> TestInstance:
    parcel = await engine.create("parcel-workflow", id="7", params={"cents": 4200})
    await parcel.send_event("approved", {"by": "ann"})
    await engine.run_until_idle()
    return parcel


async def test_instance_goes_on_where_it_was_carried_to(tmp_path: Path, carry: ModuleType) -> None:
    """What is done is not done again there, its events have come, and it has ended here."""
    elsewhere = PARCEL.replace('return f"ch_{key}"', 'raise AssertionError("charged twice")')
    async with _engine(tmp_path / "old", PARCEL) as old, _engine(tmp_path / "new", elsewhere) as new:
        here, there = await _begin(old), new.instance("parcel-workflow", "7")

        async with _client(old) as cloudflare, _client(new) as stepwell:
            await carry.carry(cloudflare, stepwell, "parcel-workflow", "7")

        assert await here.status() == "terminated"
        assert await there.wait_for_output() == {"paid": "ch_7", "parcel": "pa_ch_7", "approved_by": "ann"}


async def test_instance_that_has_ended_is_not_carried(tmp_path: Path, carry: ModuleType) -> None:
    """Nothing of it is begun anywhere else."""
    async with _engine(tmp_path / "old", PARCEL) as old, _engine(tmp_path / "new", PARCEL) as new:
        await (await _begin(old)).wait_for_output()

        async with _client(old) as cloudflare, _client(new) as stepwell:
            with pytest.raises(Conflict):
                await carry.carry(cloudflare, stepwell, "parcel-workflow", "7")

            assert [one async for one in stepwell.workflows.instances.list("parcel-workflow")] == []


def test_examples_of_others_are_python() -> None:
    """Those that need what is migrated from are at least read."""
    pages = [one for one in snippets() if one.page.startswith("docs/guides/migrate-") and one.language == "python"]

    assert {one.file for one in pages} >= {"tasks.py", "dbos_checkout.py", "temporal_transfer.py", "parcel.py"}
    for one in pages:
        compile(one.text, str(one), "exec")
