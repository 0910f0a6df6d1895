"""
Count what happens, for Prometheus and whatever else reads OpenMetrics.

The names and labels of actions are those of OpenWhisk's own metrics (core/monitoring/user-events),
so that its dashboards work. Each namespace has its own registry: who has the key of one sees
nothing of another. The number of series is bounded: after `MOST_ACTIONS` of a namespace, further
actions are counted together as ``other``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hotwhisk.gateway.store.activations import StoredActivation

MOST_ACTIONS: Final = 500
OTHER: Final = "other"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60)
"""Seconds, as OpenTelemetry advises for functions, and the 60 s of a blocking call."""
_SIZES: Final = tuple(4**power for power in range(3, 11))  # 64 bytes to 1 MiB
_STATUS: Final = ("success", "application_error", "developer_error", "internal_error")
_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH")
_ACTION: Final = ("namespace", "initiator", "action")


class Metrics:
    """All counts of a gateway. Any thread may use it."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they are a second series beside each counter and histogram
        self._lock = threading.Lock()
        self._namespaces: dict[str, _NamespaceMetrics] = {}
        self._http = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests that were answered", ("code", "method"), registry=self._http
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request to the end of its answer",
            ("method",),
            buckets=_BUCKETS,
            registry=self._http,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight", "Requests that are being answered", registry=self._http
        )

    def count(self, activation: StoredActivation) -> None:
        """Count an activation that is over."""
        self._of(activation.record["namespace"]).count(activation)

    def request_began(self) -> None:
        """Count a request that has come."""
        self._in_flight.inc()

    def request_ended(self, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        method = method if method in _METHODS else OTHER
        self._in_flight.dec()
        self._requests.labels(str(status), method).inc()
        self._seconds.labels(method).observe(seconds)

    def shown(self, namespace: str, accept: str) -> tuple[bytes, str]:
        """
        Return the metrics of a namespace and those of the gateway, and their content type.

        ``accept`` is the request's header: it may ask for OpenMetrics.
        """
        encode, content_type = choose_encoder(accept)
        both = _Both(self._of(namespace).registry, self._http)
        return encode(both), content_type

    def _of(self, namespace: str) -> _NamespaceMetrics:
        with self._lock:
            if namespace not in self._namespaces:
                self._namespaces[namespace] = _NamespaceMetrics()
            return self._namespaces[namespace]


class _NamespaceMetrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._known: set[tuple[str, str]] = set()
        self._activations = Counter(
            "openwhisk_action_activations",
            "Activations",
            (*_ACTION, "kind", "memory"),
            registry=registry,
        )
        self._cold_starts = Counter(
            "openwhisk_action_coldStarts",
            "Activations that had to wait for an init",
            _ACTION,
            registry=registry,
        )
        self._status = Counter(
            "openwhisk_action_status",
            "Activations by how they ended",
            (*_ACTION, "status"),
            registry=registry,
        )
        self._wait = self._histogram("waitTime_seconds", "Time from the call to its server")
        self._init = self._histogram("initTime_seconds", "Time that an init took")
        self._duration = self._histogram("duration_seconds", "Time of an activation, with its init")
        self._size = self._histogram("response_size_bytes", "Size of results", _SIZES)
        self._memory = Gauge(
            "openwhisk_action_memory", "Limit of memory, in MB", _ACTION, registry=registry
        )

    def count(self, activation: StoredActivation) -> None:
        record, annotation = activation.record, activation.annotation
        path = annotation("path")
        if path is None:
            return  # a trigger
        namespace, action = self._bounded(path)
        labels = (namespace, record["namespace"], action)
        response = record["response"]
        memory = (annotation("limits") or {}).get("memory", 0)
        self._activations.labels(*labels, annotation("kind") or "sequence", str(memory)).inc()
        self._status.labels(*labels, _STATUS[response["statusCode"]]).inc()
        self._wait.labels(*labels).observe((annotation("waitTime") or 0) / 1000)
        self._duration.labels(*labels).observe(record["duration"] / 1000)
        self._size.labels(*labels).observe(response.get("size") or 0)
        self._memory.labels(*labels).set(memory)
        init = annotation("initTime")
        if init is not None:
            self._cold_starts.labels(*labels).inc()
            self._init.labels(*labels).observe(init / 1000)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...] = _BUCKETS) -> Histogram:
        return Histogram(
            f"openwhisk_action_{name}", help, _ACTION, buckets=buckets, registry=self.registry
        )

    def _bounded(self, path: str) -> tuple[str, str]:
        """Return namespace and name of an action as labels, of which there are not too many."""
        namespace, _, name = path.partition("/")
        if (namespace, name) not in self._known:
            if len(self._known) >= MOST_ACTIONS:
                return OTHER, OTHER
            self._known.add((namespace, name))
        return namespace, name


class _Both(Collector):
    """Two registries in one answer."""

    def __init__(self, *parts: CollectorRegistry) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all parts, one registry after the other."""
        for part in self._parts:
            yield from part.collect()
