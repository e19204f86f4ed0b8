"""An HTML page that loads nothing and runs nothing: the document, and the headers that hold it to its own style."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape


def document(title: str, style: str, body: str) -> str:
    """Return a whole page. `title` is text; `style` is CSS and `body` HTML, both ours."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>"
    )


def headers(style: str) -> Mapping[str, str]:
    """Return what a page with this style is answered with: nothing but the style is let in, and no one may frame it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "cache-control": "no-store",
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
