"""Which server a client speaks to, as whom, and how persistently: what code says, then the environment, then defaults.

Addresses come from `STEPWELL_URL`, then `CLOUDFLARE_BASE_URL`. Cloudflare's token and account are for the server that
`CLOUDFLARE_BASE_URL` or the code names: one that `STEPWELL_URL` names, and the default, never get them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict, TypeGuard, TypeVar, Unpack
from urllib.parse import urlsplit

from stepwell.addresses import LOCAL, address_of, check_token
from stepwell.errors import InvalidInput
from stepwell.sdk.retries import Retries
from stepwell.sdk.ways import Site

DEFAULT_ACCOUNT = "local"
DEFAULT_TIMEOUT_S = 60.0
DEFAULT_RETRIES = 2
BASE = "/client/v4"

_CLOUDFLARE = "cloudflare.com"

R = TypeVar("R")


class Options(TypedDict, total=False):
    """What one call may have otherwise than its client: as there, `timeout` is in seconds."""

    timeout: float | None
    max_retries: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client is made with. `base_url` ends with `/client/v4`; `timeout_s` None: a server may be silent."""

    base_url: str = LOCAL + BASE
    account: str = DEFAULT_ACCOUNT
    token: str | None = field(default=None, repr=False)
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    max_retries: int = DEFAULT_RETRIES

    @classmethod
    def found(  # noqa: PLR0913 - what a client may be given
        cls,
        environment: Mapping[str, str],
        *,
        base_url: str | None = None,
        account_id: str | None = None,
        api_token: str | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        max_retries: int = DEFAULT_RETRIES,
    ) -> "Settings":
        """Return what code says, and for the rest what the environment says. Raises InvalidInput."""
        url = base_url or environment.get("STEPWELL_URL") or environment.get("CLOUDFLARE_BASE_URL") or LOCAL
        host = _checked("base_url", address_of, url).hostname or ""
        names: tuple[str, ...] = ("STEPWELL",)
        if _is_cloudflares(host):
            names = ("CLOUDFLARE",)
        elif base_url or (not environment.get("STEPWELL_URL") and environment.get("CLOUDFLARE_BASE_URL")):
            names = ("STEPWELL", "CLOUDFLARE")
        account = account_id or _first(environment, names, {"STEPWELL": "ACCOUNT", "CLOUDFLARE": "ACCOUNT_ID"})
        token = api_token or _first(environment, names, {"STEPWELL": "TOKEN", "CLOUDFLARE": "API_TOKEN"})
        if account is None and _is_cloudflares(host):
            raise InvalidInput("account_id", "Cloudflare needs an account; give account_id or CLOUDFLARE_ACCOUNT_ID")
        if token is not None:
            _checked("api_token", check_token, token)
        _check_numbers(timeout_s, max_retries)
        base = url.rstrip("/").removesuffix(BASE) + BASE
        return cls(base, account or DEFAULT_ACCOUNT, token, timeout_s, max_retries)

    def changed(self, **options: Unpack["Options"]) -> "Settings":
        """Return these settings with others in their place. Raises InvalidInput."""
        timeout_s, most = options.get("timeout", self.timeout_s), options.get("max_retries", self.max_retries)
        _check_numbers(timeout_s, most)
        return replace(self, timeout_s=timeout_s, max_retries=most)

    @property
    def site(self) -> Site:
        """Whom requests are for."""
        is_cloudflare = _is_cloudflares(urlsplit(self.base_url).hostname or "")
        return Site(self.account, is_cloudflare, Retries(self.max_retries))


def is_seconds(value: object) -> TypeGuard[float]:
    """Tell whether something is a number of seconds that end."""
    return isinstance(value, int | float) and math.isfinite(value)


def _first(environment: Mapping[str, str], names: tuple[str, ...], members: Mapping[str, str]) -> str | None:
    found = (environment.get(f"{name}_{members[name]}") for name in names)
    return next((value for value in found if value), None)


def _is_cloudflares(host: str) -> bool:
    return host == _CLOUDFLARE or host.endswith(f".{_CLOUDFLARE}")


def _checked(field: str, check: Callable[[object], R], value: object) -> R:
    try:
        return check(value)
    except ValueError as error:
        raise InvalidInput(field, str(error)) from error


def _check_numbers(timeout_s: object, max_retries: object) -> None:
    if timeout_s is not None and not (is_seconds(timeout_s) and timeout_s > 0):
        raise InvalidInput("timeout", f"timeout must be a number of seconds above 0, or None, got {timeout_s!r:.100}")
    if not isinstance(max_retries, int) or max_retries < 0:
        raise InvalidInput("max_retries", f"max_retries must be a whole number, 0 or more, got {max_retries!r:.100}")
