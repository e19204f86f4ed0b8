"""The output of a step that is a stream: its bytes as they are, without an envelope.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/step/
"""

import logging

from starlette.types import Send

from stepwell.api.streams import Stream
from stepwell.core.records import StreamRef
from stepwell.engine import Engine
from stepwell.errors import StoreError
from stepwell.facts import fact

MEDIA_TYPE = "application/octet-stream"

_log = logging.getLogger(__name__)


class StepBytes(Stream):
    """An answer of as many bytes as its head announces; where they cannot be read any more the connection ends."""

    def __init__(self, engine: Engine, stream: StreamRef) -> None:
        headers = {
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "content-length": str(stream.size),
        }
        super().__init__(engine.pieces(stream), MEDIA_TYPE, headers, lambda: None)

    async def stream_response(self, send: Send) -> None:
        """Send head and body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for piece in self.body_iterator:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except StoreError as error:
            _log.error("the output of a step ends before its end: %s", error, extra=fact("output.broke", error=error))
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
