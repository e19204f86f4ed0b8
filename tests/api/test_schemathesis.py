"""Requests made up from the OpenAPI document, valid ones and others: the program answers as the document says."""

import pytest

from tests.api.described import BY_ID

# A stream of events goes on as long as its instance; a check starts a process for each request that can be read.
IDS = [id for id in BY_ID if id not in {"stepwell-instances-events", "stepwell-checks"}]
# Cloudflare's; Stepwell's own are asked at length alone, and in test_fuzz.py, which knows all routes.
QUICK = [id for id in IDS if not id.startswith("stepwell-")]


# Not `SCHEMA.parametrize()`: that makes the requests at the bounds up when tests are collected, of all operations, in
# each process of the tests; and what makes them up takes half a second to load.
@pytest.mark.parametrize("id", QUICK)
def test_program_answers_as_the_document_says(id: str) -> None:
    """No request that the document allows, nor one that it does not, gets a 5xx or an answer that it does not have."""
    from tests.api.made_up import check

    # Beside some fifty at the bounds of its parameters.
    check(id, examples=2)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("id", IDS)
def test_program_answers_as_the_document_says_at_length(id: str) -> None:
    """The same for many more requests."""
    from tests.api.made_up import check

    check(id, examples=50)
