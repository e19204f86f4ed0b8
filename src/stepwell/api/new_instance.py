"""The bodies that create an instance, or many.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/create/
"""

import json
from dataclasses import replace

import msgspec
from starlette.datastructures import Headers as StarletteHeaders

from stepwell.api import body
from stepwell.api.retention import Retention
from stepwell.engine import NewInstance
from stepwell.traces import Headers


class NewInstanceBody(msgspec.Struct):
    """What a client may say of a new instance. Members that are not here are ignored."""

    instance_id: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"null")
    instance_retention: Retention | None = None
    location_hint: str | None = None


class LabelledInstanceBody(NewInstanceBody):
    """The same with what is Stepwell's own: labels by which the instance is found."""

    labels: dict[str, str] = {}


def caller_of(headers: StarletteHeaders) -> Headers | None:
    """Return within which span a request was sent; None: it does not say, or not so that it can be understood.

    Source: www.w3.org/TR/trace-context/
    """
    given = headers.getlist("traceparent")
    return Headers.read(given[0], ",".join(headers.getlist("tracestate"))) if len(given) == 1 else None


def decode_labelled(text: bytes, caller: Headers | None) -> NewInstance:
    """Return the instance that a body asks for, with labels; an empty body asks for any. Raises InvalidInput."""
    asked = body.decode(text or b"{}", LabelledInstanceBody)
    return replace(_asked_for(asked, caller), labels=asked.labels)


def decode(text: bytes, caller: Headers | None) -> NewInstance:
    """Return the instance that a body asks for; an empty body asks for any. Raises InvalidInput."""
    return _asked_for(body.decode(text or b"{}", NewInstanceBody), caller)


def decode_batch(text: bytes, most: int, caller: Headers | None) -> list[NewInstance]:
    """Return the instances that a body asks for, from 1 to `most`. Raises InvalidInput."""
    asked = body.decode(text or b"[]", list[NewInstanceBody])
    body.check_many(asked, most, "be an array of")
    return [_asked_for(one, caller) for one in asked]


def _asked_for(asked: NewInstanceBody, caller: Headers | None) -> NewInstance:
    retention = (asked.instance_retention or Retention()).of_instance("instance_retention")
    return NewInstance(asked.instance_id, params_of(asked.params), retention=retention, caller=caller)


def params_of(given: msgspec.Raw) -> str:
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
