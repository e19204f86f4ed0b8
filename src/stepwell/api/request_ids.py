"""What each request is called: in the header `x-request-id` of its answer, and in the log where something went wrong.

It is ours alone: `cf-ray` is what Cloudflare's edge says, also before a server of ours, and an id that a caller sends
would let him write into the log. It counts nothing: nobody learns from it how much the server is asked.
"""

import random

HEADER = b"x-request-id"
# What of a scope has it.
IN_SCOPE = "stepwell.request"


def new_id() -> str:
    """Return an id that no other request has."""
    return f"{random.getrandbits(64):016x}"
