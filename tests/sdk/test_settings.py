"""Which server a client speaks to, and as whom."""

import re
from typing import Any

import pytest

from stepwell import AsyncClient, Client
from stepwell.errors import InvalidInput
from stepwell.sdk.settings import Settings

OURS = {"STEPWELL_URL": "http://ours:1", "STEPWELL_ACCOUNT": "our-account", "STEPWELL_TOKEN": "our-token"}
THEIRS = {
    "CLOUDFLARE_BASE_URL": "http://theirs:2/client/v4",
    "CLOUDFLARE_ACCOUNT_ID": "their-account",
    "CLOUDFLARE_API_TOKEN": "their-token",
}
SECRETS = {name: value for name, value in THEIRS.items() if name != "CLOUDFLARE_BASE_URL"}


@pytest.mark.parametrize(
    ("environment", "given", "found"),
    [
        pytest.param({}, {}, ("http://127.0.0.1:8787/client/v4", "local", None), id="nothing"),
        pytest.param(OURS, {}, ("http://ours:1/client/v4", "our-account", "our-token"), id="ours"),
        pytest.param(THEIRS, {}, ("http://theirs:2/client/v4", "their-account", "their-token"), id="theirs"),
        pytest.param({**OURS, **THEIRS}, {}, ("http://ours:1/client/v4", "our-account", "our-token"), id="both"),
        pytest.param(
            {**THEIRS, "STEPWELL_TOKEN": "our-token"},
            {},
            ("http://theirs:2/client/v4", "their-account", "our-token"),
            id="ours win one by one",
        ),
        pytest.param(
            {**SECRETS, "STEPWELL_URL": "http://ours:1"},
            {},
            ("http://ours:1/client/v4", "local", None),
            id="Cloudflare's token is not for our server",
        ),
        pytest.param(SECRETS, {}, ("http://127.0.0.1:8787/client/v4", "local", None), id="nor for the default"),
        pytest.param(
            SECRETS,
            {"base_url": "http://a.example/base"},
            ("http://a.example/base/client/v4", "their-account", "their-token"),
            id="but for one that the code names",
        ),
        pytest.param(
            {**OURS, **SECRETS},
            {"base_url": "https://api.cloudflare.com/client/v4"},
            ("https://api.cloudflare.com/client/v4", "their-account", "their-token"),
            id="our token is not for Cloudflare",
        ),
        pytest.param(
            {**OURS, **THEIRS},
            {"base_url": "http://given:3/client/v4/", "account_id": "given", "api_token": "given-token"},
            ("http://given:3/client/v4", "given", "given-token"),
            id="what the code says",
        ),
    ],
)
def test_code_goes_before_the_environment_and_ours_before_cloudflares(
    environment: dict[str, str], given: dict[str, Any], found: tuple[str, str, str | None]
) -> None:
    """A token goes to the server that it is for, and to no other."""
    settings = Settings.found(environment, **given)

    assert (settings.base_url, settings.account, settings.token) == found


@pytest.mark.parametrize(
    ("url", "is_cloudflare"),
    [
        ("https://api.cloudflare.com/client/v4", True),
        ("https://cloudflare.com.example.org", False),
        ("https://notcloudflare.com", False),
        ("http://127.0.0.1:8787", False),
    ],
)
def test_cloudflare_is_known_by_its_host(url: str, is_cloudflare: bool) -> None:
    """Only there is what is Stepwell's own left out."""
    assert Settings.found({}, base_url=url, account_id="a").site.is_cloudflare is is_cloudflare


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"base_url": "localhost:8787"}, "base_url", id="no scheme"),
        pytest.param({"base_url": "http://"}, "base_url", id="no host"),
        pytest.param({"base_url": "http://a:99999"}, "base_url", id="no port"),
        pytest.param({"base_url": "http://a b"}, "base_url", id="a blank"),
        pytest.param({"base_url": "http://a?b=c"}, "base_url", id="a query"),
        pytest.param({"base_url": "http://a#b"}, "base_url", id="a fragment"),
        pytest.param({"base_url": "http://ann:secret@a"}, "base_url", id="a password"),
        pytest.param({"base_url": "http://ann:secret@a b"}, "base_url", id="a password in what is no address"),
        pytest.param({"base_url": 8787}, "base_url", id="a number"),
        pytest.param({"api_token": "secret "}, "api_token", id="a blank behind a token"),
        pytest.param({"api_token": 5}, "api_token", id="a number as a token"),
        pytest.param({"timeout_s": "5"}, "timeout", id="a text as time-out"),
        pytest.param({"timeout_s": 0}, "timeout", id="no time"),
        pytest.param({"timeout_s": float("nan")}, "timeout", id="a time that is no number"),
        pytest.param({"max_retries": "2"}, "max_retries", id="a text as retries"),
        pytest.param({"max_retries": -1}, "max_retries", id="fewer than none"),
        pytest.param({"api_token": "to\nken"}, "api_token", id="a line end in a token"),
        pytest.param({"base_url": "https://api.cloudflare.com/client/v4"}, "account_id", id="no account"),
    ],
)
def test_what_cannot_be_is_refused_at_once(given: dict[str, Any], field: str) -> None:
    """The error names what is wrong, and never a token or a password."""
    with pytest.raises(InvalidInput) as refused:
        Settings.found({}, **given)

    assert refused.value.field == field
    assert not {"to\nken", "secret"} & set(re.split(r"[ :@\"]", str(refused.value)))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_environment_is_looked_at(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients take what is there, and show where they go but not with what."""
    for name, value in OURS.items():
        monkeypatch.setenv(name, value)

    client = kind(timeout=5.0, max_retries=7)

    assert repr(client) == f"{kind.__name__}('http://ours:1/client/v4', account_id='our-account')"
    assert "our-token" not in f"{client!r} {client.settings!r} {vars(client)!r}"
    assert (client.settings.token, client.settings.timeout_s, client.settings.max_retries) == ("our-token", 5.0, 7)
    assert client.settings.site.retries.most == 7
