"""`GET /metrics`: what a server tells Prometheus."""

import asyncio

from starlette.responses import Response

from stepwell import metrics
from stepwell.api.request import ApiRequest
from stepwell.api.traffic import Traffic
from stepwell.engine import Engine
from stepwell.metrics import Gauge, Metric


async def show_metrics(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with all metrics, as text."""
    served = request.served
    own = own_metrics(served.traffic, served.streams.count)
    told = own if served.host_metrics is None else [*await served.host_metrics.all(), *own]
    # Of many workflows it takes some hundredths of a second, in which others are answered.
    text = await asyncio.to_thread(metrics.text, told)
    return Response(text.encode(), headers={"content-type": metrics.CONTENT_TYPE})


def own_metrics(traffic: Traffic, open_streams: int) -> list[Metric]:
    """Return what is told of HTTP."""
    streams = Gauge("stepwell_api_streams", "Callers that follow logs, events or changes at this moment.")
    streams.set(open_streams)
    return [*traffic.metrics(), streams]
