"""The body that creates an instance.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/create/
"""

import json

import msgspec

from stepwell import durations
from stepwell.api import body
from stepwell.api.refusals import invalid
from stepwell.engine import NewInstance


class Retention(msgspec.Struct):
    """How long to keep an instance after its end: milliseconds, or a duration in words."""

    success_retention: int | str | None = None
    error_retention: int | str | None = None


class NewInstanceBody(msgspec.Struct):
    """What a client may say of a new instance. Members that are not here are ignored."""

    instance_id: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"null")
    instance_retention: Retention | None = None
    location_hint: str | None = None


def decode(text: bytes) -> NewInstance:
    """Return the instance that a body asks for; an empty body asks for any. Raises InvalidInput."""
    asked = body.decode(text or b"{}", NewInstanceBody, "the request body")
    _check_retention(asked.instance_retention or Retention())
    return NewInstance(asked.instance_id, _params(asked.params))


def _params(given: msgspec.Raw) -> str:
    """Return params as JSON text.

    SDKs send JSON inside a string, other clients the value itself; a string that is no JSON is the value.
    """
    text = body.json_text(given, "params")
    if text.startswith('"'):
        text = _inside(text)
    return "{}" if text == "null" else text


def _inside(text: str) -> str:
    inner = body.decode(text.encode(), str, "params").strip(" \t\r\n")
    return body.json_text(inner.encode(), "params") if _is_json(inner) else text


def _is_json(text: str) -> bool:
    """Tell whether a text is meant as JSON, even if not as JSON that can be taken."""
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_no_json)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _no_json(constant: str) -> None:
    """Python would read NaN and the infinities, which JSON lacks."""
    raise ValueError(constant)


def _check_retention(retention: Retention) -> None:
    for name in retention.__struct_fields__:
        given = getattr(retention, name)
        # 0 is allowed: Cloudflare's Go client sends it where its caller says nothing.
        if given is not None and durations.to_ms(given) is None:
            raise invalid(name, f'instance_retention.{name} must be {durations.EXPECTED}, got "{given}"')
