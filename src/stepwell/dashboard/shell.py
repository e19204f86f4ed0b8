"""The one document of the dashboard, and the headers that hold it to its own files."""

import hashlib
from collections.abc import Mapping

from stepwell.dashboard.files import DIGEST

# The address of the page's files.
BASE = f"/ui/static/{DIGEST}"

DOCUMENT = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Stepwell</title>
<link rel="icon" href="{BASE}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{BASE}/style.css">
<script src="{BASE}/theme.js"></script>
<script type="module" src="{BASE}/app.js"></script>
</head>
<body>
<div id="app"></div>
<noscript><p>This page is a program in JavaScript, which is switched off here. What it shows can also be asked of the
<a href="/docs">API</a> and of the command <code>stepwell instances</code>.</p></noscript>
</body>
</html>
"""
# Of all that it says: another release may have other words and the same files.
ETAG = f'"{hashlib.sha256(DOCUMENT.encode()).hexdigest()[:16]}"'

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
