"""The address of a server, and a token for it: what commands and the client take as one.

What is wrong is told by a ValueError, whose text never has a password or a token in it.
"""

from urllib.parse import SplitResult, urlsplit

# Where `stepwell dev` listens if nobody says where.
LOCAL = "http://127.0.0.1:8787"


def address_of(url: object) -> SplitResult:
    """Return the parts of an address. Raises ValueError."""
    if isinstance(url, str) and "@" in url:
        # Libraries would send it instead of the token, and every message shows the address.
        raise ValueError("the address of a server has no name or password in it; give the token by itself")
    if not isinstance(url, str) or not _is_address(url):
        raise ValueError(f'"{url!s:.200}" is no address of a server; give one such as {LOCAL}')
    return urlsplit(url)


def check_token(token: object) -> None:
    """Raise ValueError for what is no token: libraries name what they cannot send in their errors."""
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("the token has characters that no token has; was it copied as a whole?")


def _is_address(url: str) -> bool:
    if not (url.isascii() and url.isprintable()) or set(" ?#") & set(url):
        return False
    try:
        parts = urlsplit(url)
        # Asking for the port is what checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
