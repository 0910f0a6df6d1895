"""
Write metrics as OpenMetrics 1.0 text, which Prometheus and other collectors read.

Pure, and without a library, since the core has no dependency. A family is one metric with its type
and help. Its samples are what is measured now, one for each set of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hotwhisk.record import Record

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = Mapping[str, str]
Number = int | float
Sample = tuple[str, Labels, Number]
"""What the name of the family is continued by, labels, and the value."""


class Family(Record):
    """A metric: ``kind`` is its type in OpenMetrics, and ``help`` one sentence for people."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


class Distribution(Record):
    """
    How often a value was at most each of some bounds.

    ``buckets`` has pairs of a bound and how many values were at most that, the smallest bound
    first. ``count`` is how many values there were, ``total`` their sum.
    """

    buckets: Sequence[tuple[float, int]]
    count: int
    total: float


def counter(name: str, help: str, values: Iterable[tuple[Labels, Number]]) -> Family:
    """Return a family whose values only grow while the server runs."""
    return Family(name, "counter", help, [("_total", *each) for each in values])


def gauge(name: str, help: str, values: Iterable[tuple[Labels, Number]]) -> Family:
    """Return a family whose values go up and down."""
    return Family(name, "gauge", help, [("", *each) for each in values])


def info(name: str, help: str, labels: Labels) -> Family:
    """Return a family that says by its labels what does not change while the server runs."""
    return Family(name, "info", help, [("_info", labels, 1)])


def histogram(name: str, help: str, values: Iterable[tuple[Labels, Distribution]]) -> Family:
    """Return a family of distributions."""
    samples: list[Sample] = []
    for labels, each in values:
        for bound, count in each.buckets:
            samples.append(("_bucket", {**labels, "le": repr(float(bound))}, count))
        samples += [
            ("_bucket", {**labels, "le": "+Inf"}, each.count),
            ("_count", labels, each.count),
            ("_sum", labels, each.total),
        ]
    return Family(name, "histogram", help, samples)


def render(families: Iterable[Family]) -> bytes:
    """Return the text of all families, with the line that says that nothing is missing."""
    return "".join(f"{line}\n" for line in _lines(families)).encode()


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        yield f"# TYPE {family.name} {family.kind}"
        yield f"# HELP {family.name} {_escaped(family.help)}"
        for suffix, labels, value in family.samples:
            pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{family.name}{suffix}{f'{{{pairs}}}' if pairs else ''} {value!r}"
    yield "# EOF"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
