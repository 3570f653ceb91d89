"""What a server has counted, in the text format of Prometheus, at an address of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from storectl.errors import Local
from storectl.model.endpoint import Endpoint
from storectl.server.board import BOUNDS, Board

if TYPE_CHECKING:
    from prometheus_client.core import Metric

COUNTERS = {
    "starts": ("worker_starts", "Processes that serve, started so far."),
    "commits": ("shared_commits", "Commits of small writes; those that wait share one."),
    "sweeps": ("sweeps", "Sweeps, also those that were left to another server of the store."),
    "sweeps_failed": ("sweep_failures", "Sweeps that failed; the log says why."),
    "expired": ("expired_storages", "Storages without a name whose time was over."),
}
MAKERS = ("loop", "writer", "thread", "upload")


def publish(board: Board, host: str, port: int) -> None:
    """Answer GET /metrics in a thread, for as long as this process lives.

    Raises Local if the library is not installed, or the port cannot be had.
    """
    try:
        from prometheus_client import CollectorRegistry, start_wsgi_server
    except ImportError:
        raise Local(
            "Metrics need a library that is not installed", hint="pip install 'storectl[metrics]'"
        ) from None
    registry = CollectorRegistry()
    registry.register(Figures(board))
    try:
        start_wsgi_server(port, host, registry)
    except OSError as error:
        raise Local(f"Cannot listen on {host}:{port} for metrics: {error.strerror}") from None


class Figures:
    """A board as prometheus-client collects it."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def describe(self) -> list[Metric]:
        """Nothing is known before it is counted."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything there is now."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        requests = CounterMetricFamily(
            "storectl_requests", "Answers.", labels=("endpoint", "status")
        )
        took = HistogramMetricFamily(
            "storectl_request_seconds",
            "From the head of a request to the last byte of its answer.",
            labels=("endpoint",),
        )
        refused = 0
        for endpoint, by_status, by_bound, secs in self._board.rows():
            name = named(endpoint)
            for status, count in by_status.items():
                requests.add_metric((name, str(status or "other")), count)
            buckets = zip((*map(str, BOUNDS), "+Inf"), accumulate(by_bound), strict=True)
            took.add_metric((name,), [*buckets], secs)
            refused += by_status.get(429, 0)
        yield requests
        yield took
        total = self._board.total
        in_flight = GaugeMetricFamily("storectl_requests_in_flight", "Requests without an answer.")
        in_flight.add_metric((), total("in_flight"))
        yield in_flight
        limited = CounterMetricFamily("storectl_rate_limited", "Answers of 429.")
        limited.add_metric((), refused)
        yield limited
        calls = CounterMetricFamily(
            "storectl_store_calls", "Calls of the store, by what made them.", labels=("by",)
        )
        for maker in MAKERS:
            calls.add_metric((maker,), total(f"by_{maker}"))
        yield calls
        for at, (name, about) in COUNTERS.items():
            family = CounterMetricFamily(f"storectl_{name}", about)
            family.add_metric((), total(at))
            yield family


def named(endpoint: Endpoint | None) -> str:
    """The label of an endpoint: never what a caller sent."""
    return f"{endpoint.method} {endpoint.path}" if endpoint else "other"
