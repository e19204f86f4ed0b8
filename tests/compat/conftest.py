"""The same engine and server as the tests of the API have, and Cloudflare's clients for Node."""

from tests.api.conftest import app, clock, engine, histories, port, store
from tests.compat.node.clients import node

__all__ = ["app", "clock", "engine", "histories", "node", "port", "store"]
