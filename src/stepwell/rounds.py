"""What a server does now and then, for ever, beside all other work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stepwell.errors import StoreError
from stepwell.facts import fact

logger = logging.getLogger(__name__)


async def rounds(what: str, every_s: float, look: Callable[[], Awaitable[object]]) -> None:
    """Look for something, and again after a while, for ever. `what` names it in the log."""
    while True:
        try:
            await look()
        except StoreError as error:
            logger.debug("%s cannot be looked for now: %s", what, error)
        except Exception:  # a defect must not keep this from being done for ever
            logger.exception("%s could not be looked for", what, extra=fact("round.failed", what=what))
        await asyncio.sleep(every_s)
