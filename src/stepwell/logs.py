"""Logging as operators see it: one line per fact, on standard error."""

import logging
import sys
import time


def configure(level: int = logging.INFO) -> None:
    """Send the log to standard error, times in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stepwell").setLevel(level)
    # It would tell of each start and stop; what is wrong it says as a warning.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
