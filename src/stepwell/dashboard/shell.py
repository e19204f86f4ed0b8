"""The one document of the dashboard, and the headers that hold it to its own files."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache

from stepwell.dashboard import files

_DOCUMENT = """<!doctype html>
<html lang="en"ROOT>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Stepwell</title>
<link rel="icon" href="FILES/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="FILES/style.css">
<script src="FILES/theme.js"></script>
<script type="module" src="FILES/app.js"></script>
</head>
<body>
<div id="app"></div>
<noscript><p>This page is a program in JavaScript, which is switched off here. What it shows can also be asked of the
<a href="BELOW/docs">API</a> and of the command <code>stepwell instances</code>.</p></noscript>
</body>
</html>
"""
_PLACES = re.compile("ROOT|BELOW|FILES")
# `stepwell-svg` is the one policy that makes markup: of the drawings that our own routes send, in `svg.js`.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types stepwell-svg",
    ]
)
HEADERS: Mapping[str, str] = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@cache
def document(base: str = "") -> str:
    """Return the document of a server below the path `base`. The first time that takes a while; see `files.py`."""
    texts = {
        "ROOT": f' data-base="{base}"' if base else "",
        "BELOW": base,
        "FILES": f"{base}/ui/static/{files.digest()}",
    }
    return _PLACES.sub(lambda place: texts[place[0]], _DOCUMENT)


@cache
def etag(base: str = "") -> str:
    """Return a mark of all that the document says: another release may have other words and the same files."""
    return f'"{hashlib.sha256(document(base).encode()).hexdigest()[:16]}"'
