"""The settings of an account: how long its instances are kept.

Source: developers.cloudflare.com/workflows/reference/limits/
"""

import msgspec
from starlette.responses import Response

from stepwell import answers
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.api.retention import Retention
from stepwell.engine import Engine
from stepwell.models import AccountSettings as ShownSettings
from stepwell.store.account_operations import AccountSettings


class SettingsBody(msgspec.Struct):
    """What a client changes; what is not said stays as it is, and 0 takes back what was said."""

    default_retention: Retention


async def get_settings(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the account's settings."""
    return _answer(engine, await engine.account_settings(request.account))


async def change_settings(engine: Engine, request: ApiRequest) -> Response:
    """Change the account's settings and answer with all of them."""
    asked = await request.decode(SettingsBody)
    changes = AccountSettings(*asked.default_retention.in_ms("default_retention"))
    return _answer(engine, await engine.change_account_settings(request.account, changes))


def _answer(engine: Engine, settings: AccountSettings) -> Response:
    success, error, told = settings.success_retention_ms, settings.error_retention_ms, engine.settings
    retention = answers.retention_of(success or told.success_retention, error or told.error_retention)
    return envelope.success(ShownSettings(retention))
