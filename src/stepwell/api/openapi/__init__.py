"""All that the server can be asked, as an OpenAPI 3.1 document: from the routes, the models and the tables beside.

Source of the form: spec.openapis.org/oas/v3.1.1.html
"""

from stepwell.api.openapi.document import build, document

__all__ = ["build", "document"]
