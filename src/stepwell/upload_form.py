"""The form in which code is uploaded, as Cloudflare's tools send it: what is said of the files, and each file."""

import json
import uuid
from collections.abc import Mapping
from typing import Any


def form_of(metadata: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return the media type and the body of a form with files, by their paths.

    Source: www.rfc-editor.org/rfc/rfc7578
    """
    boundary = uuid.uuid4().hex
    parts = [_part(boundary, 'name="metadata"', "application/json", json.dumps(metadata).encode())]
    for path, body in files.items():
        named = f'name="{_escaped(path)}"; filename="{_escaped(path)}"'
        parts.append(_part(boundary, named, "application/octet-stream", body))
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _part(boundary: str, named: str, media_type: str, body: bytes) -> bytes:
    head = f"--{boundary}\r\ncontent-disposition: form-data; {named}\r\ncontent-type: {media_type}\r\n\r\n"
    return head.encode() + body + b"\r\n"


def _escaped(name: str) -> str:
    """Return a name as a form has it.

    Source: html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    """
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
