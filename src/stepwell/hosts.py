"""The host names that a server answers to.

A page on the internet can point its own name at 127.0.0.1 (DNS rebinding); a server on loopback sees that by the Host
header, which browsers let no page forge.
"""

# Names that lead to this machine whoever answers for them. An entry `*.x` stands for every name below x.
LOOPBACK_HOSTS = frozenset({"localhost", "*.localhost", "127.0.0.1", "[::1]"})


def is_served(host: str, hosts: frozenset[str]) -> bool:
    """Tell whether a Host header, with a port or without, names one of these hosts."""
    name = _without_port(host)
    return name in hosts or any(known.startswith("*.") and name.endswith(known[1:]) for known in hosts)


def _without_port(host: str) -> str:
    """[::1]:8787 -> [::1]."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
