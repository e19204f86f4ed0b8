"""The client: `Client` and `AsyncClient`, what they give, and what they raise.

All of it is one core without IO. Methods build *programs* (`effects.py`), which say what is to be sent, read or waited
for; only `client.py` and `aclient.py` do that, each in its way (`ways.py`). No server and no worker imports this.
"""

from stepwell.sdk.aclient import AsyncClient
from stepwell.sdk.client import Client
from stepwell.sdk.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotEnded,
    NotFound,
    RateLimited,
    ServerError,
    TimedOut,
    Unauthorized,
    Unreachable,
    UnreadableAnswer,
)

__all__ = [
    "AlreadyExists",
    "ApiError",
    "AsyncClient",
    "Client",
    "Conflict",
    "InvalidRequest",
    "NotAllowed",
    "NotEnded",
    "NotFound",
    "RateLimited",
    "ServerError",
    "TimedOut",
    "Unauthorized",
    "Unreachable",
    "UnreadableAnswer",
]
