"""`GET .../instances`: filters, order, pages by cursor and by number."""

from itertools import chain

import httpx
import pytest

from tests.api.histories import VERSION_ID, WORKFLOW_ID, Histories

INSTANCES = "workflows/order/instances"


async def _ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"{INSTANCES}?{query}")
    assert answer.status_code == 200, answer.text
    return [instance["id"] for instance in answer.json()["result"]]


async def _five(histories: Histories) -> None:
    """Write five instances, 10 ms apart, the first at 10:00:00.010."""
    for number in range(1, 6):
        await histories.queued("order", f"i{number}")


async def test_listed_instance_has_cloudflares_fields(client: httpx.AsyncClient, histories: Histories) -> None:
    """An entry of the list has exactly Cloudflare's fields, null where there is nothing."""
    await histories.errored("order", "ended")
    await histories.queued("order", "new")

    answer = await client.get(INSTANCES)

    assert answer.json()["result"] == [
        {
            "id": "new",
            "status": "queued",
            "created_on": "2026-11-23T10:00:00.060Z",
            "modified_on": "2026-11-23T10:00:00.060Z",
            "started_on": None,
            "ended_on": None,
            "version_id": VERSION_ID,
            "workflow_id": WORKFLOW_ID,
            "trigger_source": "api",
        },
        {
            "id": "ended",
            "status": "errored",
            "created_on": "2026-11-23T10:00:00.010Z",
            "modified_on": "2026-11-23T10:00:00.050Z",
            "started_on": "2026-11-23T10:00:00.010Z",
            "ended_on": "2026-11-23T10:00:00.050Z",
            "version_id": VERSION_ID,
            "workflow_id": WORKFLOW_ID,
            "trigger_source": "api",
        },
    ]
    assert answer.json()["result_info"] == {
        "count": 2,
        "per_page": 50,
        "total_count": 2,
        "cursor": "",
        "page": 1,
        "total_pages": 1,
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        pytest.param("", ["i5", "i4", "i3", "i2", "i1"], id="newest first"),
        pytest.param("direction=desc", ["i5", "i4", "i3", "i2", "i1"], id="descending"),
        pytest.param("direction=asc", ["i1", "i2", "i3", "i4", "i5"], id="ascending"),
        pytest.param("status=queued&direction=asc", ["i1", "i2", "i3", "i4", "i5"], id="status"),
        pytest.param("status=complete", [], id="status of none"),
        pytest.param("status=rollingBack", [], id="status that cannot be yet"),
        pytest.param("date_start=2026-11-23T10:00:00.040Z", ["i5", "i4"], id="from, included"),
        pytest.param("date_end=2026-11-23T10:00:00.020Z", ["i2", "i1"], id="to, included"),
        pytest.param("date_start=2026-11-23T10:00:00.020&date_end=2026-11-23T10:00:00.030", ["i3", "i2"], id="between"),
        pytest.param("date_start=2026-11-23T10:00:01Z", [], id="later than all"),
        pytest.param("per_page=2", ["i5", "i4"], id="first page"),
        pytest.param("per_page=2&page=2", ["i3", "i2"], id="second page"),
        pytest.param("per_page=2&page=3", ["i1"], id="last page"),
        pytest.param("per_page=2.0&page=2.0", ["i3", "i2"], id="numbers as floats"),
        pytest.param("per_page=2&page=4", [], id="past the end"),
        pytest.param("page=9007199254740991&per_page=100", [], id="far past the end"),
        pytest.param("cursor=", ["i5", "i4", "i3", "i2", "i1"], id="empty cursor"),
        pytest.param("unknown=1&unknown=2", ["i5", "i4", "i3", "i2", "i1"], id="unknown parameter"),
    ],
)
async def test_query_chooses_instances(
    client: httpx.AsyncClient, histories: Histories, query: str, ids: list[str]
) -> None:
    """Filters, order and page numbers choose what Cloudflare says they do."""
    await _five(histories)

    listed = await _ids(client, query)

    assert listed == ids


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("2026-11-23T10:00:00.040Z", id="Z"),
        pytest.param("2026-11-23T10:00:00.040", id="no zone"),
        pytest.param("2026-11-23T10:00:00.040%2B00:00", id="offset"),
        pytest.param("2026-11-23T10:00:00.040+00:00", id="offset whose plus was not escaped"),
        pytest.param("2026-11-23T10:00:00.040000Z", id="microseconds"),
        pytest.param("2026-11-23%2010:00:00.04", id="escaped space"),
        pytest.param("2026-11-23+10:00:00.04Z", id="plus for a space"),
        pytest.param("2026-11-23T12:00:00.040%2B02:00", id="another zone"),
        pytest.param("2026-11-23T08:30:00.040-01:30", id="a zone in the west"),
    ],
)
async def test_moment_may_be_written_in_many_ways(client: httpx.AsyncClient, histories: Histories, moment: str) -> None:
    """Clients write moments with Z, with an offset or with none, and spaces as they like."""
    await _five(histories)

    listed = await _ids(client, f"date_start={moment}")

    assert listed == ["i5", "i4"]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("direction=asc&per_page=2", id="ascending"),
        pytest.param("direction=desc&per_page=2", id="descending"),
        pytest.param("per_page=1", id="one by one"),
        pytest.param("per_page=5", id="all at once"),
        pytest.param("per_page=2&status=queued&date_start=2026-11-23T10:00:00Z", id="filtered"),
    ],
)
async def test_cursors_lead_through_all_instances(client: httpx.AsyncClient, histories: Histories, query: str) -> None:
    """Following cursors until one is empty shows every instance once, in order."""
    await _five(histories)
    cursor = ""
    pages: list[list[str]] = []

    while not pages or cursor:
        answer = (await client.get(f"{INSTANCES}?{query}&cursor={cursor}")).json()
        pages.append([instance["id"] for instance in answer["result"]])
        cursor = answer["result_info"]["cursor"]

    assert list(chain.from_iterable(pages)) == await _ids(client, query.replace("per_page", "unknown"))
    assert all(pages)


async def test_new_instances_move_no_page(client: httpx.AsyncClient, histories: Histories) -> None:
    """A cursor stays where it was when instances are added."""
    await _five(histories)
    first = (await client.get(f"{INSTANCES}?per_page=2")).json()
    await histories.queued("order", "i6")

    second = await _ids(client, f"per_page=2&cursor={first['result_info']['cursor']}")

    assert second == ["i3", "i2"]


async def test_cursor_with_a_later_page_is_empty(client: httpx.AsyncClient, histories: Histories) -> None:
    """SDKs add `page=2` to a first request with a cursor, and stop at an empty page."""
    await _five(histories)
    cursor = (await client.get(f"{INSTANCES}?per_page=2")).json()["result_info"]["cursor"]

    lists = [await _ids(client, f"per_page=2&cursor={cursor}&page={page}") for page in (1, 2)]

    assert lists == [["i3", "i2"], []]


async def test_result_info_tells_where_a_page_stands(client: httpx.AsyncClient, histories: Histories) -> None:
    """`total_count` counts what matches; `page` is left out where a cursor leads."""
    await _five(histories)
    paged = (await client.get(f"{INSTANCES}?per_page=2&page=2")).json()["result_info"]

    led = (await client.get(f"{INSTANCES}?per_page=2&cursor={paged['cursor']}")).json()["result_info"]

    assert {**paged, "cursor": ""} == {
        "count": 2,
        "per_page": 2,
        "total_count": 5,
        "cursor": "",
        "page": 2,
        "total_pages": 3,
    }
    assert led == {"count": 1, "per_page": 2, "total_count": 5, "cursor": "", "total_pages": 3}


STATUSES = "complete, errored, paused, queued, rollingBack, running, terminated, waiting, waitingForPause"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("per_page=0", 'per_page must be an integer from 1 to 100, got "0"', id="per_page 0"),
        pytest.param("per_page=101", 'per_page must be an integer from 1 to 100, got "101"', id="per_page 101"),
        pytest.param("per_page=-1", 'per_page must be an integer from 1 to 100, got "-1"', id="per_page -1"),
        pytest.param("per_page=1.5", 'per_page must be an integer from 1 to 100, got "1.5"', id="per_page 1.5"),
        pytest.param("per_page=", 'per_page must be an integer from 1 to 100, got ""', id="per_page empty"),
        pytest.param("per_page=1e1", 'per_page must be an integer from 1 to 100, got "1e1"', id="per_page 1e1"),
        pytest.param("per_page=%D9%A1", 'per_page must be an integer from 1 to 100, got "\u0661"', id="Arabic 1"),
        pytest.param("page=0", 'page must be an integer from 1 to 9007199254740991, got "0"', id="page 0"),
        pytest.param(
            "page=9007199254740992",
            'page must be an integer from 1 to 9007199254740991, got "9007199254740992"',
            id="page beyond exact integers",
        ),
        pytest.param("direction=up", 'direction must be one of: asc, desc, got "up"', id="direction"),
        pytest.param("direction=ASC", 'direction must be one of: asc, desc, got "ASC"', id="direction in capitals"),
        pytest.param("status=done", f'status must be one of: {STATUSES}, got "done"', id="status"),
        pytest.param(
            "status=queued&status=running",
            f'status is given 2 times ("queued", "running"); give one of: {STATUSES}, once',
            id="status twice",
        ),
        pytest.param(
            "date_start=yesterday",
            'date_start must be a date and time such as 2026-11-23T10:00:00Z, got "yesterday"',
            id="date in words",
        ),
        pytest.param(
            "date_end=2026-02-30T00:00:00Z",
            'date_end must be a date and time such as 2026-11-23T10:00:00Z, got "2026-02-30T00:00:00Z"',
            id="date that is none",
        ),
        pytest.param(
            "date_end=2026-11-23",
            'date_end must be a date and time such as 2026-11-23T10:00:00Z, got "2026-11-23"',
            id="date without a time",
        ),
        pytest.param(
            "cursor=nonsense",
            'cursor must be a cursor that result_info of this same list gave, got "nonsense"',
            id="cursor",
        ),
        pytest.param(
            "cursor=c2FzYywx",
            'cursor must be a cursor that result_info of this same list gave, got "c2FzYywx"',
            id="cursor of another list",
        ),
        pytest.param(
            "cursor=aTk5OTk5OTk5OTk5OTk5OTk5OTksMQ",
            'cursor must be a cursor that result_info of this same list gave, got "aTk5OTk5OTk5OTk5OTk5OTk5OTksMQ"',
            id="cursor beyond 64 bits",
        ),
        pytest.param(
            "cursor=%FF%00",
            'cursor must be a cursor that result_info of this same list gave, got "\ufffd\x00"',
            id="cursor of odd bytes",
        ),
    ],
)
async def test_value_out_of_bounds_is_refused(
    client: httpx.AsyncClient, histories: Histories, query: str, problem: str
) -> None:
    """A wrong value is 400 with code 10002; the message names parameter, value and what is allowed."""
    answer = await client.get(f"{INSTANCES}?{query}")

    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [{"code": 10002, "message": f"workflows.api.error.body: query parameter {problem}"}],
    )


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("per_page=1", id="per_page 1"),
        pytest.param("per_page=100", id="per_page 100"),
        pytest.param("page=1", id="page 1"),
        pytest.param("date_start=0001-01-01T00:00:00Z", id="the first moment"),
        pytest.param("date_end=9999-12-31T23:59:59.999Z", id="the last moment"),
        *(pytest.param(f"status={status}", id=status) for status in STATUSES.split(", ")),
    ],
)
async def test_value_at_the_bounds_is_taken(client: httpx.AsyncClient, query: str) -> None:
    """The bounds themselves are allowed."""
    answer = await client.get(f"{INSTANCES}?{query}")

    assert answer.status_code == 200
