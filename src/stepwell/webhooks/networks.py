"""At which addresses a receiver may be: whoever makes a webhook must not reach by it what only this machine can.

What counts is the address that a name leads to when something is sent, and to that very address it is sent. What clouds
tell their machines about themselves is never sent anything, nor is any address that is nobody's own.
"""

import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from stepwell.errors import InvalidInput
from stepwell.threads import Threads

Address = IPv4Address | IPv6Address

# Each lets in what those before it do.
NETWORKS = ("public", "loopback", "private")
URL_LENGTH = 2_048
_PORTS = {"https": 443, "http": 80}
# Beside link-local addresses: where clouds tell a machine its credentials (AWS, Google, Oracle, Scaleway; Alibaba,
# Azure, Oracle's earlier one), those of sites, which nobody has any more, and forms that hide another address.
_NEVER = tuple(
    ip_network(one)
    for one in (
        *("fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128"),
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
        *("fec0::/10", "2002::/16", "2001::/32", "64:ff9b:1::/48"),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
# A look-up cannot be ended, and one whose servers do not answer takes half a minute. The loop has few threads for them,
# in which those of all other receivers would wait and, without uvloop, what is shown to people.
_LOOK_UPS = Threads()


class NotAllowed(Exception):
    """A receiver is where none may be; the message says why."""


def check_url(url: str, networks: str) -> None:
    """Hold the address of a webhook against what can be told without looking it up. Raises InvalidInput."""
    problem = _problem(url, networks)
    if problem is not None:
        raise InvalidInput("url", f"body: url {problem}, got {url!r:.200}")


def parts_of(url: str) -> tuple[SplitResult, str, int]:
    """Return the parts of an address that was checked, its host and its port."""
    parts = urlsplit(url)
    return parts, parts.hostname or "", parts.port or _PORTS[parts.scheme]


async def addresses_of(url: str, networks: str) -> list[str]:
    """Look up where a receiver is; return the addresses at which it may be. Raises NotAllowed, or OSError."""
    parts, host, port = parts_of(url)
    found = await _LOOK_UPS.run(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
    return allowed([str(address[0]) for *_, address in found], networks, is_plain=parts.scheme == "http")


def allowed(addresses: Sequence[str], networks: str, *, is_plain: bool) -> list[str]:
    """Return those of some addresses at which a receiver may be. Raises NotAllowed if there are none."""
    kinds = {address: kind_of(address) for address in addresses}
    most = NETWORKS.index(networks)
    let_in = {kind for kind in NETWORKS[: most + 1] if not (is_plain and kind == "public")}
    good = [address for address, kind in kinds.items() if kind in let_in]
    if good:
        return good
    if is_plain and "public" in kinds.values():
        raise NotAllowed("plain HTTP is for addresses of this machine and of private networks alone: use https")
    kind = next(iter(kinds.values()), "reserved")
    remedy = f"; the setting `webhook_networks={kind}` allows it" if kind in NETWORKS else ""
    raise NotAllowed(f"it is at a {kind} address, which webhooks may not reach{remedy}")


def kind_of(address: str) -> str:
    """Return what kind of address it is: one of NETWORKS, or `reserved`, which nothing is sent to."""
    parsed = _plain(ip_address(address.partition("%")[0]))
    if any(parsed in network for network in _NEVER) or parsed.is_link_local or parsed.is_multicast:
        return "reserved"
    if parsed.is_loopback:
        return "loopback"
    if parsed.is_unspecified or parsed.is_reserved:
        return "reserved"
    return "public" if parsed.is_global else "private"


def _plain(address: Address) -> Address:
    """Return the address that another form of it stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _problem(url: str, networks: str) -> str | None:
    form = "has to be such as https://example.com/hook"
    if len(url) > URL_LENGTH or not (url.isascii() and url.isprintable()) or set(' "<>\\#') & set(url):
        return f"{form}, at most {URL_LENGTH} characters of ASCII, without a fragment"
    try:
        parts, host, _ = parts_of(url)
    except (KeyError, ValueError):
        return form
    if not host or parts.port == 0 or "@" in parts.netloc:
        return f"{form}, without a name or password"
    if parts.scheme == "http" and networks == "public":
        return "has to begin with https://; plain HTTP is for this machine and private networks (`webhook_networks`)"
    try:
        allowed([host], networks, is_plain=parts.scheme == "http")
    except NotAllowed as error:
        return f"may not be this: {error}"
    except ValueError:
        # A name: where it leads is known when something is sent.
        return None
    return None
