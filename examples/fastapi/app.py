"""Stepwell inside a FastAPI application: orders that survive whatever happens to the process.

pip install fastapi uvicorn
uvicorn --app-dir examples/fastapi app:app
curl -X POST 'http://127.0.0.1:8000/orders?item=book'
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException

from stepwell import Stepwell
from stepwell.errors import InstanceFinished, InstanceNotFound

stepwell = Stepwell(
    Path(__file__).with_name("orders.py"), store=os.environ.get("ORDERS_STORE", "sqlite:///.stepwell/orders.db")
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run workflows as long as the application runs."""
    async with stepwell:
        yield


app = FastAPI(lifespan=lifespan)
# The dashboard, at http://127.0.0.1:8000/stepwell/; without tokens it answers to this machine's own names alone.
app.mount("/stepwell", stepwell.asgi("/stepwell", tokens=False))


@app.post("/orders", status_code=202)
async def take(item: str) -> dict[str, str]:
    """Take an order. It is durable when this answers."""
    order = await stepwell.workflow("order").create(params={"item": item})
    return {"id": order.id}


@app.get("/orders/{id}")
async def show(id: str) -> Any:
    """Say how an order stands."""
    return await (await _order(id)).status()


@app.post("/orders/{id}/approval", status_code=204)
async def approve(id: str, by: str) -> None:
    """Approve an order."""
    try:
        await (await _order(id)).send_event(type="approved", payload={"by": by})
    except InstanceFinished as error:
        raise HTTPException(409, str(error)) from error


@app.get("/orders/{id}/parcel")
async def parcel(id: str) -> Any:
    """Wait for the end of an order, for half a minute at most."""
    try:
        return await (await _order(id)).result("30 seconds")
    except TimeoutError as error:
        raise HTTPException(504, str(error)) from error


async def _order(id: str) -> Any:
    try:
        return await stepwell.workflow("order").get(id)
    except InstanceNotFound as error:
        raise HTTPException(404, str(error)) from error
