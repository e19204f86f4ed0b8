"""The same engine and server as the tests of the API have."""

from tests.api.conftest import app, clock, engine, histories, port, store

__all__ = ["app", "clock", "engine", "histories", "port", "store"]
