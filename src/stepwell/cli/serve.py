"""`stepwell serve`: a server for others: it asks for tokens, and serves the code as it is when it starts."""

import os
from dataclasses import replace

from stepwell.cli import server
from stepwell.cli.server import ServerOptions


def serve(options: ServerOptions, workers: int | None) -> int:
    """Serve until a signal comes; return the exit code. `workers` None: one less than there are cores."""
    number = workers or max((os.cpu_count() or 1) - 1, 1)
    return server.run(replace(options, workers=number, wants_tokens=True))
