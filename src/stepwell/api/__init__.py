"""The HTTP API: Cloudflare's routes over the engine."""

from stepwell.api.app import Api, create_app

__all__ = ["Api", "create_app"]
