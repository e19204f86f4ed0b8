"""The OpenAPI document, as tests look at it."""

import json
from collections.abc import Mapping
from typing import Any

from stepwell.api import openapi

DOCUMENT: Mapping[str, Any] = json.loads(openapi.document())
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
# By the operation's id: method, path, and what is said of it.
BY_ID: Mapping[str, tuple[str, str, Any]] = {
    operation["operationId"]: (method.upper(), pattern, operation)
    for pattern, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
