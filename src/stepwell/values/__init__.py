"""What a workflow may store, as text, and back.

Params and events are plain JSON (`encode_json`, `decode_json`). What steps return is stored without loss (`encode`,
`decode`): JSON as it is, and everything else as an object whose first member is `$`, the name of a form. What the
author gets is always decoded from that text, on the first run as on replay. `readable` makes JSON for people of it.
"""

from stepwell.values.classes import NO_CLASSES, Classes
from stepwell.values.pack import encode
from stepwell.values.plain import Value, decode_json, encode_json
from stepwell.values.shown import readable
from stepwell.values.typed import annotation_of, convert, schema
from stepwell.values.unpack import decode, has_forms

__all__ = [
    "NO_CLASSES",
    "Classes",
    "Value",
    "annotation_of",
    "convert",
    "decode",
    "decode_json",
    "encode",
    "encode_json",
    "has_forms",
    "readable",
    "schema",
]
