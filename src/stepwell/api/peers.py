"""From where a request comes: the other end of its connection, or what proxies that are trusted say of it.

Whoever sends a request may write anything into `X-Forwarded-For`; only its end is by whoever handed it on. So it is
read from the right, and only as long as what handed it on is a proxy that is trusted: the first address that is none is
the caller's.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# So many proxies stand behind each other at most; what is further to the left is not looked at.
_MOST_HOPS = 16
# What one subscriber is given of IPv6 at least: he has all addresses in it. Source: www.rfc-editor.org/rfc/rfc6177
_PREFIX_BITS = 64


class Proxies(Struct, frozen=True):
    """The proxies that are trusted."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Proxies":
        """Return those of addresses and networks such as "10.0.0.0/8". Raises ValueError for what is neither."""
        return cls(tuple(ipaddress.ip_network(text.strip()) for text in texts))

    def caller(self, scope: Scope) -> str | None:
        """Return whose a request is: an address, of IPv6 its network; None: there is none, as within a process."""
        address = self._caller(scope)
        return None if address is None else _counted_as(address)

    def address(self, scope: Scope) -> str:
        """Return from where a request comes, for people; empty: from nowhere, as within a process."""
        address = self._caller(scope)
        return "" if address is None else str(address)

    def is_secure(self, scope: Scope) -> bool:
        """Tell whether a browser has asked over TLS: as this server speaks none, a trusted proxy has to say so."""
        if not self.networks or not self._has(_peer(scope)):
            return False
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-proto"))
        return said.rpartition(",")[2].strip().lower() in {"https", "wss"}

    def _caller(self, scope: Scope) -> Address | None:
        address = _peer(scope)
        if not self.networks or not self._has(address):
            return address
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        for text in reversed(said.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]):
            hop = _address(text.strip())
            if hop is None:
                break
            address = hop
            if not self._has(hop):
                break
        return address

    def _has(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


@lru_cache(4096)
def _counted_as(address: Address) -> str:
    """Return what all addresses are counted as that one caller has."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    network = int(address) >> (ipaddress.IPV6LENGTH - _PREFIX_BITS) << (ipaddress.IPV6LENGTH - _PREFIX_BITS)
    return f"{ipaddress.IPv6Address(network)}/{_PREFIX_BITS}"


def _peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return None if not client else _address(client[0])


@lru_cache(4096)
def _address(text: str) -> Address | None:
    """Read an address as proxies write it, with or without a port; None: it is none."""
    name = text
    if text.startswith("["):
        name = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        name = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
