"""The host names that a server answers to, and the pages that may change something.

A page on the internet can point its own name at 127.0.0.1 (DNS rebinding), or post to it without being able to read the
answer. The first is seen by the Host header, the second by the Origin header; browsers let no page forge either.
"""

from collections.abc import Sequence

# Names that lead to this machine whoever answers for them. An entry `*.x` stands for every name below x.
LOOPBACK_HOSTS = frozenset({"localhost", "*.localhost", "127.0.0.1", "[::1]"})

# Methods that change nothing.
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def is_served(given: Sequence[str], hosts: frozenset[str]) -> bool:
    """Tell whether a request's one Host header names one of these hosts, whatever the port."""
    return len(given) == 1 and _is_among(without_port(given[0]), hosts)


def is_served_origin(origin: str, hosts: frozenset[str]) -> bool:
    """Tell whether an Origin header names a page of one of these hosts, whatever the port."""
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and _is_among(without_port(host), hosts)


def without_port(host: str) -> str:
    """[::1]:8787 -> [::1]; in lower case, as names are the same in capitals."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _is_among(name: str, hosts: frozenset[str]) -> bool:
    return name in hosts or any(known.startswith("*.") and name.endswith(known[1:]) for known in hosts)
