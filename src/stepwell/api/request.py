"""A request as handlers see it: where it leads, its query, its body."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct, field
from starlette.requests import Request

from stepwell.api import body
from stepwell.api.changes import ChangeCount
from stepwell.api.denials import Denials
from stepwell.api.kept import KeptAnswers
from stepwell.api.query import Query
from stepwell.api.refusals import invalid
from stepwell.api.shared_reads import SharedReads
from stepwell.api.stream_tokens import StreamTokens
from stepwell.api.streams import Place, Streams, Waits
from stepwell.api.traffic import Traffic
from stepwell.api.wrong_tokens import WrongTokens
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.forcing import LOCAL
from stepwell.host_metrics import HostMetrics
from stepwell.moves import Moves
from stepwell.sessions import Sessions
from stepwell.tokens import MEASURING, Caller, Tokens

T = TypeVar("T")


class Served(Struct, frozen=True):
    """What a server hands to each request."""

    engine: Engine
    stream_tokens: StreamTokens
    # Those that callers need; None: none is asked for.
    tokens: Tokens | None = None
    # Those that browsers have begun with these.
    sessions: Sessions | None = None
    # The path that browsers see all of this below: "", or one such as "/stepwell".
    base: str = ""
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    streams: Streams = field(default_factory=Streams)
    waits: Waits = field(default_factory=Waits)
    wrong_tokens: WrongTokens = field(default_factory=WrongTokens)
    changes: ChangeCount = field(default_factory=ChangeCount)
    reads: SharedReads = field(default_factory=SharedReads)
    denials: Denials = field(default_factory=Denials)
    traffic: Traffic = field(default_factory=Traffic)
    # What the server tells Prometheus beside that; None: nothing.
    host_metrics: HostMetrics | None = None
    # What takes code that is uploaded; None: nothing does.
    deployments: Deployments | None = None
    # What moves instances to other versions; None: nothing does.
    moves: Moves | None = None


class ApiRequest(Struct, frozen=True):
    """A request whose route is known. `account` is whose workflows it is about."""

    account: str
    path: Mapping[str, str]
    query: Query
    http: Request
    served: Served
    # Who acts, as histories have it.
    by: str = LOCAL
    caller: Caller | None = None
    # The id of the token by which it is made, also where it is a stream's token that was sent.
    token: str | None = None
    # And of the session, where it is made by one.
    session: str | None = None

    @property
    def sees_all(self) -> bool:
        """Whether the caller may see what is of all accounts, and of the machines: the operator, as with `/metrics`."""
        return self.caller is None or bool(MEASURING & self.caller.permissions)

    @property
    def workflow(self) -> str:
        """The workflow's name in the path."""
        return self.path["workflow_name"]

    @property
    def instance(self) -> str:
        """The instance's id in the path."""
        return self.path["instance_id"]

    @property
    def limit(self) -> str:
        """The name of a limit that steps share in the path."""
        return self.path["limit_name"]

    @property
    def job(self) -> str:
        """The job's id in the path."""
        return self.path["job_id"]

    @property
    def webhook(self) -> str:
        """The webhook's id in the path."""
        return self.path["webhook_id"]

    @property
    def cron(self) -> str:
        """The schedule's cron expression in the path."""
        return self.path["cron"]

    def take_stream(self, close: Callable[[], None]) -> Place:
        """Take a place among the streams of the server and of the token.

        `close` is called when it is given back, when the server stops and when the token, or the session, ends. Raises
        TooManyStreams.
        """
        return self.served.streams.take(self.served.engine.settings, close, self.token, self.session)

    async def body(self) -> bytes:
        """Return the body, without white space around it; it may be empty. Raises BodyTooLarge."""
        return await body.read(self.http, self.served.engine.settings.payload_size)

    async def decode(self, kind: type[T], empty: bytes = b"{}") -> T:
        """Return the body as a value of a type, and `empty` in place of an empty one. Raises InvalidInput."""
        return body.decode(await self.body() or empty, kind)

    async def json_text(self, what: str) -> str:
        """Return the body as the JSON text that is stored. Raises InvalidInput, also for an empty body."""
        text = await self.body()
        if not text:
            raise invalid(what, f"{what} is missing: send any JSON value as the request's body, such as {{}}")
        return body.json_text(text, what)
