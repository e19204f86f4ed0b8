"""A request as handlers see it: where it leads, its query, its body."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from stepwell.api import body
from stepwell.api.kept import KeptAnswers
from stepwell.api.query import Query
from stepwell.api.refusals import invalid
from stepwell.api.stream_tokens import StreamTokens
from stepwell.api.streams import Streams
from stepwell.clock import SystemClock
from stepwell.forcing import LOCAL
from stepwell.limits import PAYLOAD_BYTES


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request whose route is known. `account` is whose workflows it is about."""

    account: str
    path: Mapping[str, str]
    query: Query
    http: Request
    # What a payload in the body may have.
    payload_bytes: int = PAYLOAD_BYTES
    # Who acts, as histories have it.
    by: str = LOCAL
    # What earlier requests were answered.
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    # Who holds streams open, and what opens one.
    streams: Streams = field(default_factory=Streams)
    stream_tokens: StreamTokens = field(default_factory=lambda: StreamTokens(SystemClock()))

    @property
    def workflow(self) -> str:
        """The workflow's name in the path."""
        return self.path["workflow_name"]

    @property
    def instance(self) -> str:
        """The instance's id in the path."""
        return self.path["instance_id"]

    async def body(self) -> bytes:
        """Return the body, without white space around it; it may be empty. Raises BodyTooLarge."""
        return await body.read(self.http, self.payload_bytes)

    async def json_text(self, what: str) -> str:
        """Return the body as the JSON text that is stored. Raises InvalidInput, also for an empty body."""
        text = await self.body()
        if not text:
            raise invalid(what, f"{what} is missing: send any JSON value as the request's body, such as {{}}")
        return body.json_text(text, what)
