"""The HTTP API: Cloudflare's routes over the engine."""

from stepwell.api.app import create_app
from stepwell.api.guards import LOOPBACK_HOSTS
from stepwell.api.server import HttpServer

__all__ = ["LOOPBACK_HOSTS", "HttpServer", "create_app"]
