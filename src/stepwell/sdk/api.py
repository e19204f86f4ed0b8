"""What both clients are: whom they speak to and by what, and the parts of the API on that."""

import importlib
import os
from abc import ABC, abstractmethod
from copy import copy
from typing import Generic, Self, TypeVar, Unpack

from stepwell.sdk.own import Own
from stepwell.sdk.settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, Options, Settings
from stepwell.sdk.ways import Runner, Way
from stepwell.sdk.workflows import Workflows

HttpClient = TypeVar("HttpClient")


class Api(ABC, Generic[Way, HttpClient]):
    """The API of a server, in the way of one client, over an HTTP client that fits it."""

    def __init__(  # noqa: PLR0913 - the parameters that Cloudflare's client has
        self,
        base_url: str | None = None,
        *,
        account_id: str | None = None,
        api_token: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        max_retries: int = DEFAULT_RETRIES,
        http_client: HttpClient | None = None,
    ) -> None:
        self.settings = Settings.found(
            os.environ,
            base_url=base_url,
            account_id=account_id,
            api_token=api_token,
            timeout_s=timeout,
            max_retries=max_retries,
        )
        self._is_ours = http_client is None
        self._http = self._new_http() if http_client is None else http_client
        self._furnish()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.base_url!r}, account_id={self.settings.account!r})"

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with another time-out, or other retries, on the same connections.

        `client.with_options(timeout=5, max_retries=0).workflows.get("order")` is so for this call alone. It ends with
        the client that it was made of: it has nothing to close.
        """
        other = copy(self)
        other.settings = self.settings.changed(**options)
        other._is_ours = False
        other._furnish()
        return other

    def _furnish(self) -> None:
        site = self.settings.site
        if site.is_cloudflare:
            # What its events come by: where a loop runs later, that would have to wait for the import.
            importlib.import_module("stepwell.sdk.sockets")
        runner = self._runner()
        self.workflows: Workflows[Way] = Workflows(runner, site)
        self.stepwell: Own[Way] = Own(runner, site)

    @abstractmethod
    def _new_http(self) -> HttpClient:
        """Return an HTTP client of its own."""

    @abstractmethod
    def _runner(self) -> Runner:
        """Return what does on the HTTP client what programs and flows ask for."""
