"""The dashboard behind a proxy that speaks TLS, in a browser: what becomes of the session's cookie there."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stepwell.tokens import Permission
from tests.dashboard import tls
from tests.dashboard.browser import Site

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sqlite]


async def test_session_over_tls_has_a_cookie_that_no_other_host_can_set(guarded_site: Site, tmp_path: Path) -> None:
    """The browser keeps it under its name with `__Host-`, sends it for pages, changes and streams, and forgets it."""
    token = await guarded_site.tokens.create("local", [Permission.SCRIPTS_WRITE])
    port = urlsplit(guarded_site.url).port
    assert port is not None
    async with tls.before(port, tmp_path) as url:
        seen = Site(url, guarded_site.engine, guarded_site.histories, guarded_site.tokens, guarded_site.browser)
        async with seen.open("/workflows/order", ignore_https_errors=True) as page:
            await page.get_by_label("API token").fill(token)
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("link", name="done-1").wait_for()
            await page.get_by_role("switch", name="Live updates: Live").wait_for()
            (cookie,) = await page.context.cookies()
            await page.get_by_role("button", name="Sign out").click()
            await page.get_by_label("API token").wait_for()
            left = await page.context.cookies()

    assert cookie["name"] == f"__Host-stepwell_session_{urlsplit(url).port}"
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert (cookie["domain"], cookie["expires"]) == ("127.0.0.1", -1)
    assert cookie["value"].startswith("ss_")
    assert left == []
