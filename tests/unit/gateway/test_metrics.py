from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hotwhisk.gateway.metrics import MOST_ACTIONS, Metrics
from hotwhisk.gateway.store.activations import StoredActivation

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def activation(
    name: str = "hello", *, namespace: str = "guest", status: int = 0, init: int | None = None
) -> StoredActivation:
    """Return an activation of an action that took 20 ms and waited 5."""
    annotations: list[dict[str, object]] = [
        {"key": "path", "value": f"guest/{name}"},
        {"key": "kind", "value": "python:3"},
        {"key": "waitTime", "value": 5},
        {"key": "limits", "value": {"memory": 256}},
    ]
    if init is not None:
        annotations.append({"key": "initTime", "value": init})
    response = {"statusCode": status, "size": 12, "success": status == 0, "result": {}}
    return StoredActivation(
        {
            "activationId": "0" * 32,
            "namespace": namespace,
            "name": name,
            "duration": 20,
            "response": response,
            "annotations": annotations,
        }
    )


def samples(metrics: Metrics, namespace: str = "guest") -> dict[str, float]:
    """Return the metrics of a namespace, by name and labels."""
    content, content_type = metrics.shown(namespace, OPENMETRICS)
    assert content_type.startswith(OPENMETRICS)
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())):
        sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }  # fmt: skip


def test_activations_are_counted_under_the_names_of_the_platform() -> None:
    metrics = Metrics()
    metrics.count(activation(init=7))
    metrics.count(activation(status=2))
    found = samples(metrics)
    labels = " action=hello initiator=guest"
    assert (
        found[
            f"openwhisk_action_activations_total{labels} kind=python:3 memory=256 namespace=guest"
        ]
        == 2
    )
    assert found[f"openwhisk_action_coldStarts_total{labels} namespace=guest"] == 1
    assert found[f"openwhisk_action_status_total{labels} namespace=guest status=success"] == 1
    assert (
        found[f"openwhisk_action_status_total{labels} namespace=guest status=developer_error"] == 1
    )
    assert found[f"openwhisk_action_initTime_seconds_sum{labels} namespace=guest"] == 0.007
    assert found[f"openwhisk_action_duration_seconds_sum{labels} namespace=guest"] == 0.04
    assert found[f"openwhisk_action_waitTime_seconds_count{labels} namespace=guest"] == 2
    assert found[f"openwhisk_action_response_size_bytes_sum{labels} namespace=guest"] == 24
    assert found[f"openwhisk_action_memory{labels} namespace=guest"] == 256


def test_a_namespace_sees_nothing_of_another() -> None:
    metrics = Metrics()
    metrics.count(activation("secret"))
    assert not [name for name in samples(metrics, "other") if "secret" in name]


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics()
    for number in range(MOST_ACTIONS + 3):
        metrics.count(activation(f"action{number}"))
    found = samples(metrics)
    rest = "action=other initiator=guest kind=python:3 memory=256 namespace=other"
    assert found[f"openwhisk_action_activations_total {rest}"] == 3


def test_requests_are_counted_and_an_unknown_method_makes_no_series() -> None:
    metrics = Metrics()
    for method in ("GET", "MADEUP1", "MADEUP2"):
        metrics.request_began()
        metrics.request_ended(method, 404, 0.2)
    found = samples(metrics)
    assert found["http_requests_total code=404 method=GET"] == 1
    assert found["http_requests_total code=404 method=other"] == 2
    assert found["http_requests_in_flight"] == 0


def test_the_activation_of_a_trigger_is_not_that_of_an_action() -> None:
    metrics = Metrics()
    fired = activation()
    fired.record["annotations"] = []
    metrics.count(fired)
    assert not [name for name in samples(metrics) if name.startswith("openwhisk")]


def test_plain_text_is_the_default() -> None:
    content, content_type = Metrics().shown("guest", "")
    assert content_type.startswith("text/plain")
    assert not content.endswith(b"# EOF\n")
