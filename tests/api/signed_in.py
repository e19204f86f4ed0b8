"""Browsers that have signed in to the dashboard."""

from stepwell.server_settings import DEFAULT_SETTINGS
from stepwell.sessions import Sessions
from stepwell.tokens import Tokens


async def session_of(tokens: Tokens, secret: str) -> str:
    """Sign a browser in with a token, and return what its cookie holds."""
    return await Sessions(tokens, DEFAULT_SETTINGS).begin(await tokens.authenticate(secret))
