"""Metrics for Prometheus: what the loop hangs up, and counts of what it did.

Names begin with ``slackwater_``, units are base units. No label has values that grow with the work:
no subscription, task or node is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controller.build import VERSION
from controller.clock import now
from controller.telling import Batch, Board, State
from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.events import AnyEvent, PartFinished, ProductCombined
from planner.lifecycle import NodeState
from planner.model import NoticeKind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SLACK_BUCKETS_S = (-86400, -3600, -600, -60, 0, 60, 600, 3600, 21600, 86400)
"""Slack at delivery [s]: late is negative."""

PAUSE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
"""What is promised, 0.1 and 0.25 s, are edges of them [s]."""

REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)

METHODS = frozenset(("GET", "POST", "PUT", "DELETE"))

_ACTIONS = {
    ProvisionNode: "launch",
    SetWorkers: "resize",
    DrainNode: "drain",
    UndrainNode: "keep",
    RemoveNode: "remove",
}

_OUTCOMES = {
    NoticeKind.DELIVERED: "on_time",
    NoticeKind.LATE: "late",
    NoticeKind.FAILED: "failed",
    NoticeKind.EXPIRED: "expired",
}


class Telemetry:
    """Counts what the service does, and writes it as Prometheus reads it.

    It counts from the start; how the service stands it tells once it was given its board.

    Parameters
    ----------
    clock : callable
        Returns the time [POSIX s].
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        # When each series began is of no use to anybody who scrapes from the start.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._board: Board | None = None
        self._clock = clock
        self._count_from_now_on()
        for action in _ACTIONS.values():
            self._decisions.labels(action)
        for outcome in _OUTCOMES.values():
            self._deliveries.labels(outcome)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def read(self, board: Board) -> None:
        """Tell from now on what the loop hangs up there."""
        self._board = board
        board.listen(self._hear_batch)

    def _count_from_now_on(self) -> None:
        registry = self.registry
        Info("slackwater_build", "This program.", registry=registry).info({"version": VERSION})
        self._decisions = Counter(
            "slackwater_scale_decisions",
            "Changes of the fleet that were decided; reasons are in /v1/decisions.",
            ["action"],
            registry=registry,
        )
        self._deliveries = Counter(
            "slackwater_deliveries", "Tasks that ended.", ["outcome"], registry=registry
        )
        self._slack = Histogram(
            "slackwater_delivery_slack_seconds",
            "Deadline minus delivery.",
            buckets=SLACK_BUCKETS_S,
            registry=registry,
        )
        self._events = Counter("slackwater_events", "Events taken in.", ["kind"], registry=registry)
        self._worker_s = Counter(
            "slackwater_worker_seconds", "Time of workers on finished parts.", registry=registry
        )
        self._bytes = Counter(
            "slackwater_product_bytes", "Size of combined products.", registry=registry
        )
        self._pause = Histogram(
            "slackwater_loop_pause_seconds",
            "How long the loop heard nobody, batch by batch.",
            buckets=PAUSE_BUCKETS_S,
            registry=registry,
        )
        self._requests = Histogram(
            "slackwater_http_request_seconds",
            "Requests to the API.",
            ["method", "status"],
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )

    def see(self, event: AnyEvent, commands: list[AnyCommand]) -> None:
        """Count one step of the loop."""
        self._events.labels(type(event).__name__).inc()
        match event:
            case PartFinished():
                self._worker_s.inc(max(0.0, event.run_s))
            case ProductCombined():
                self._bytes.inc(event.product.size_bytes)
        for command in commands:
            self._see_command(command)

    def hear_request(self, method: str, status: int, took_s: float) -> None:
        """Count one request to the API."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, f"{status // 100}xx").observe(took_s)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that follow from how the service stands."""
        if self._board is None:
            return
        state, at = self._board.state, self._clock()
        yield from _gauges(state, at)
        yield _labelled("nodes", "Nodes.", "state", _nodes(state))
        workers = {
            "ready": state.workers_ready,
            "busy": state.workers_busy,
            "idle": state.workers_ready - state.workers_busy,
        }
        yield _labelled("workers", "Workers that stand.", "state", workers)
        tasks = {
            "open": state.tasks,
            "waiting": state.tasks_waiting,
            "at_risk": state.tasks_at_risk,
        }
        yield _labelled("tasks", "Tasks that are open.", "state", tasks)
        errors = {dataset: each.common_error for dataset, each in state.costs.items()}
        words = "Relative error that predictions of run times are believed to share."
        yield _labelled("prediction_error_ratio", words, "dataset", errors)
        words = "How far the machine's clock is behind the service's."
        yield _gauge("clock_ahead_seconds", words, now.ahead_s)
        yield _gauge(
            "loop_silent_seconds", "Since when the loop did not look up.", self._board.silent_s
        )
        late = CounterMetricFamily(
            "slackwater_late_messages", "Stale, doubled or unknown messages.", labels=["kind"]
        )
        for kind, count in state.late_messages.items():
            late.add_metric([kind], count)
        yield late

    def _see_command(self, command: AnyCommand) -> None:
        if action := _ACTIONS.get(type(command)):
            self._decisions.labels(action).inc()
        if isinstance(command, Notify) and (outcome := _OUTCOMES.get(command.kind)):
            self._deliveries.labels(outcome).inc()
            delivered = command.kind in (NoticeKind.DELIVERED, NoticeKind.LATE)
            if delivered and command.slack_s is not None:
                self._slack.observe(command.slack_s)

    def _hear_batch(self, batch: Batch) -> None:
        self._pause.observe(batch.took_s)


def _gauges(state: State, now: float) -> Iterator[Metric]:
    if state.next_task is not None and state.next_task.deadline_at is not None:
        words = "Time to the deadline of the task whose parts go next."
        left = {"next": state.next_task.deadline_at - now}
        yield _labelled("time_to_deadline_seconds", words, "task", left)
    if state.threshold_s is not None:
        words = "Below it the policies static and dynamic give a signal."
        yield _gauge("threshold_seconds", words, state.threshold_s)
    yield _gauge("subscriptions", "Subscriptions.", state.subscriptions)
    yield _gauge("parts_running", "Parts that were sent to workers.", state.parts_running)
    yield _gauge("inbox_letters", "What waits to be taken in.", state.inbox)
    yield _gauge("store_fault", "1 while nothing can be recorded.", int(bool(state.fault)))


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"slackwater_{name}", words, value=value)


def _labelled(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"slackwater_{name}", words, labels=[label])
    for value, amount in values.items():
        family.add_metric([value], amount)
    return family


def _nodes(state: State) -> dict[str, float]:
    counted = (each.value for each in NodeState if each is not NodeState.GONE)
    return {name: state.nodes.get(name, 0) for name in counted}
