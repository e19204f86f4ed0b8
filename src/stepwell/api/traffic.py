"""Counts requests for `/metrics`: by route, never by path, and how long their answers took to be made."""

from stepwell.metrics import SHORT_S, Counter, Histogram, Metric

# Who was refused before his route was looked for, or asked for none.
_NO_ROUTE = ("none", "none")
SWITCHED = 101


class Traffic:
    """The metrics of a server's HTTP, but for what an author's `fetch` serves."""

    def __init__(self) -> None:
        self._requests = Counter(
            "stepwell_api_requests_total",
            "Requests that were answered, by the route's pattern (none: refused before it was known) and the status.",
            ("method", "route", "status"),
        )
        self._latency = Histogram(
            "stepwell_api_request_duration_seconds",
            "How long answers took to be made: of a stream its beginning; without requests that have asked to wait.",
            ("method", "route"),
            SHORT_S,
        )

    def metrics(self) -> list[Metric]:
        """Return all of them."""
        return [self._requests, self._latency]

    def count(self, place: tuple[str, str] | None, status: int, took_s: float, *, has_waited: bool = False) -> None:
        """Count a request that was answered; 101: over a WebSocket.

        `place` is the route's method and pattern, if it is known. `has_waited`: because it has asked to.
        """
        place = place or _NO_ROUTE
        self._requests.add((*place, str(status)))
        if not has_waited:
            self._latency.observe(took_s, place)
