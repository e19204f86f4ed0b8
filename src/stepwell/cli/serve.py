"""`stepwell serve`: a server for others: it asks for tokens, and serves the code as it is when it starts."""

from dataclasses import replace

from stepwell.cli import server
from stepwell.cli.server import ServerOptions


def serve(options: ServerOptions) -> int:
    """Serve until a signal comes; return the exit code. Raises Failure."""
    return server.run(replace(options, wants_tokens=True))
