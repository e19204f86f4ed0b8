"""The base of all errors."""

from typing import ClassVar


class StepwellError(Exception):
    """Base of all errors of Stepwell."""

    code: ClassVar[int] = 10001
    http_status: ClassVar[int] = 500
