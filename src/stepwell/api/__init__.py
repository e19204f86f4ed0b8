"""The HTTP API: Cloudflare's routes over the engine."""

from stepwell.api.app import create_app

__all__ = ["create_app"]
