"""Where receivers may be: nobody reaches by a webhook what only this machine can."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from stepwell.errors import InvalidInput
from stepwell.hosting import HostOptions, settings_of
from stepwell.webhooks.networks import NETWORKS, NotAllowed, addresses_of, allowed, check_url, kind_of

KINDS = {
    "public": ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"],
    "loopback": ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "private": ["10.0.0.1", "172.31.255.255", "192.168.1.1", "fd12:3456::1", "100.64.0.1", "::ffff:10.0.0.1"],
    "reserved": [
        *("169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200"),
        *("fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "168.63.129.16", "::ffff:168.63.129.16", "fec0::1"),
        *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "192.0.0.192"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b:1::1"),
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_address_is_of_its_kind(kind: str) -> None:
    """Whatever form it is written in; what clouds tell their machines is of none that may ever be reached."""
    assert {address: kind_of(address) for address in KINDS[kind]} == dict.fromkeys(KINDS[kind], kind)


@pytest.mark.parametrize("networks", NETWORKS)
@pytest.mark.parametrize("is_plain", [True, False])
def test_each_setting_lets_in_those_before_it(networks: str, is_plain: bool) -> None:
    """Plain HTTP never goes to a public address, and nothing to a reserved one."""
    let_in = {"public", "loopback", "private"} if networks == "private" else {"public", networks}
    let_in -= {"public"} if is_plain else set()

    for kind, addresses in KINDS.items():
        for address in addresses:
            if kind in let_in:
                assert allowed([address], networks, is_plain=is_plain) == [address]
            else:
                with pytest.raises(NotAllowed):
                    allowed([address], networks, is_plain=is_plain)


def test_name_that_leads_to_several_is_reached_where_it_may() -> None:
    """The others are passed over."""
    assert allowed(["169.254.169.254", "10.0.0.1", "93.184.216.34"], "public", is_plain=False) == ["93.184.216.34"]


async def test_what_a_name_leads_to_is_what_counts() -> None:
    """A name may lead anywhere, and elsewhere tomorrow."""
    assert set(await addresses_of("http://localhost:1/", "loopback")) <= {"127.0.0.1", "::1"}
    with pytest.raises(NotAllowed, match="the setting `webhook_networks=loopback` allows it"):
        await addresses_of("https://localhost/", "public")


async def test_names_that_nobody_answers_for_keep_nothing_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes webhooks may make many of them, and what a server shows is made in threads, too."""
    is_over = threading.Event()

    def never(*_: object, **__: object) -> list[Any]:
        is_over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    asked = [asyncio.ensure_future(addresses_of("https://receiver.example/", "public")) for _ in range(50)]
    await asyncio.sleep(0)

    try:
        async with asyncio.timeout(5):
            shown = await asyncio.to_thread(lambda: "shown")
    finally:
        is_over.set()
        await asyncio.gather(*asked, return_exceptions=True)

    assert shown == "shown"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/", "has to begin with https://"),
        ("https://10.0.0.1/", "it is at a private address"),
        ("https://[::1]:8787/", "it is at a loopback address"),
        ("https://169.254.169.254/latest", "it is at a reserved address, which webhooks may not reach, got"),
        ("https://ann:secret@example.com/", "without a name or password"),
        ("https://example.com/#top", "without a fragment"),
        ("https://example.com/a b", "has to be such as"),
        ("https://example.com:99999/", "has to be such as"),
        ("https://example.com:0/", "without a name or password"),
        ("https:///path", "without a name or password"),
        ("ftp://example.com/", "has to be such as"),
        ("https://ex\u00e4mple.com/", "of ASCII"),
        ("https://example.com/\r\nX: y", "of ASCII"),
        ("https://example.com/" + "a" * 2_048, "at most 2048 characters"),
        ("", "has to be such as"),
    ],
)
def test_address_that_is_none_is_refused_when_it_is_given(url: str, problem: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(InvalidInput, match=problem):
        check_url(url, "public")


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/a?b=c%20d", "https://93.184.216.34/"])
def test_address_of_a_receiver_is_taken(url: str) -> None:
    """With port, path and query."""
    check_url(url, "public")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost/a", "http://receiver.internal/"])
def test_plain_http_is_taken_where_receivers_may_be_near(url: str) -> None:
    """A name may lead to this machine; where it does not, nothing is sent."""
    check_url(url, "loopback")


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        pytest.param((), "loopback", id="nothing"),
        pytest.param(("webhook_networks=public",), "public", id="public"),
        pytest.param(("webhook_networks=private",), "private", id="private"),
    ],
)
def test_dev_sends_to_this_machine_unless_it_is_told_otherwise(given: tuple[str, ...], allowed: str) -> None:
    """Only where nobody has said anything it is another default than that of `stepwell serve`."""
    dev = HostOptions(path="flows.py", store="sqlite:///store.db", reloads=True, settings=given)

    assert settings_of(dev, None).webhook_networks == allowed
