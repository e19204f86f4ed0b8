"""New instances: each is created once, also where an answer is lost on the way."""

from collections.abc import Callable, Mapping
from typing import Any

from stepwell.errors import InvalidInput
from stepwell.sdk.answers import result_of
from stepwell.sdk.effects import Program
from stepwell.sdk.errors import AlreadyExists
from stepwell.sdk.messages import get, post, to_json
from stepwell.sdk.models import CreatedInstance, Instance, NewInstance
from stepwell.sdk.retries import ask
from stepwell.sdk.ways import Site


def body_of(new: NewInstance, new_id: Callable[[], str]) -> dict[str, Any]:
    """Return an instance as a body has it, with an id that is made here if it has none. Raises InvalidInput.

    Params go as JSON text, as Cloudflare's reference has them.
    """
    _check_members(new)
    body: dict[str, Any] = {name: value for name, value in new.items() if value is not None}
    if "instance_id" not in body:
        body["instance_id"] = new_id()
    if not isinstance(params := body.get("params", ""), str):
        body["params"] = to_json(params).decode()
    return body


def create(path: str, new: NewInstance, site: Site) -> Program[CreatedInstance]:
    """Create an instance below the path of all of them. Raises ApiError.

    Where neither an id made here nor a key that the server knows keeps it from being done twice, it is sent once only.
    """
    body = body_of(new, site.new_id)
    is_made_here = new.get("instance_id") is None
    request = post(path, body, key=site.key(), is_repeatable=is_made_here)
    answer = yield from ask(request, site.retries)
    try:
        return result_of(answer, CreatedInstance)
    except AlreadyExists:
        if not is_made_here:
            raise
    # Nobody else knows the id: it was created by a request whose answer was lost.
    return (yield from _created(f"{path}/{body['instance_id']}", body["instance_id"], site))


def _check_members(new: object) -> None:
    # Servers pass over members that they do not know. With `id`, as bindings call it, another instance than was meant
    # would be created.
    known = NewInstance.__annotations__
    if isinstance(new, Mapping) and known.keys() >= new.keys():
        return
    wrong = ", ".join(sorted(map(str, new.keys() - known.keys()))) if isinstance(new, Mapping) else f"{new!r:.100}"
    raise InvalidInput("instances", f"a new instance has the members {', '.join(known)}, got {wrong}")


def _created(path: str, id: str, site: Site) -> Program[CreatedInstance]:
    found = result_of((yield from ask(get(path, {"simple": True}), site.retries)), Instance)
    return CreatedInstance(id=id, status=found.status, version_id=found.version_id, trigger_source=found.trigger.source)
