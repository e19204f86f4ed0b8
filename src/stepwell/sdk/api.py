"""What both clients are: whom they speak to and by what, and the parts of the API on that."""

import os
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from stepwell.sdk.own import Own
from stepwell.sdk.settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, Settings
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
        runner = self._runner()
        self.workflows: Workflows[Way] = Workflows(runner, self.settings.site)
        self.stepwell: Own[Way] = Own(runner, self.settings.site)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.base_url!r}, account_id={self.settings.account!r})"

    @abstractmethod
    def _new_http(self) -> HttpClient:
        """Return an HTTP client of its own."""

    @abstractmethod
    def _runner(self) -> Runner:
        """Return what does on the HTTP client what programs and flows ask for."""
