"""What Cloudflare's tools may ask for that Stepwell does not have, and what to do instead: told where no route is.

Source: developers.cloudflare.com/api/
"""

import re

_ACCOUNT = "/client/v4/accounts/[^/]+"
_SCRIPT = f"{_ACCOUNT}/workers/scripts/[^/]+"
_VARIABLES = "give the server an environment variable of that name, and `stepwell serve --env NAME`"
_OWN_RESOURCES = "take its binding out of the wrangler file, and reach a service of your own from a step"

_ABSENT = tuple(
    (re.compile(pattern), f"Stepwell has no {what}; {remedy}")
    for pattern, what, remedy in (
        (f"{_SCRIPT}/secrets(-bulk)?(/.*)?", "secrets of scripts, as it keeps code as it is", _VARIABLES),
        (f"{_ACCOUNT}/workers/workers/[^/]+/versions/.*", "secrets of versions, as it keeps code as it is", _VARIABLES),
        (
            f"{_SCRIPT}/tails(/.*)?",
            "log of a whole script",
            "`stepwell instances logs NAME ID` has what an instance says",
        ),
        (
            f"{_SCRIPT}/assets-upload-session",
            "static assets",
            "take `assets` out of the wrangler file, and serve the files with a web server",
        ),
        (
            rf"(/client/v4/zones(/.*)?|{_SCRIPT}/routes|{_ACCOUNT}/workers/(domains|scripts/[^/]+/domains)(/.*)?)",
            "routes and custom domains",
            "take them out of the wrangler file, and let a proxy lead the domain to the port of `fetch` (--fetch-port)",
        ),
        (f"{_ACCOUNT}/workers/dispatch/.*", "dispatch namespaces", "deploy without --dispatch-namespace"),
        (
            f"{_ACCOUNT}/workers/(services|scripts)/[^/]+",
            "deletion of scripts",
            "delete its workflows: `stepwell workflows delete NAME`, or `wrangler workflows delete NAME`",
        ),
        (
            f"{_ACCOUNT}/(storage/kv|d1|r2|queues|vectorize|hyperdrive|ai|pipelines|secrets_store|mtls_certificates)(/.*)?",
            "KV, D1, R2, queues and other resources",
            _OWN_RESOURCES,
        ),
    )
)


def reason_for(path: str) -> str | None:
    """Return why there is nothing at a percent-encoded path, and what would help; None: it is not known here."""
    return next((reason for pattern, reason in _ABSENT if pattern.fullmatch(path)), None)
