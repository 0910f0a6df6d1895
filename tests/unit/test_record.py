"""Records: their fields, their defaults, and what is refused."""

from __future__ import annotations

import pytest

from hotwhisk.record import Record


class Parcel(Record):
    weight: int
    to: str = "nobody"
    signed: bool = False


@pytest.mark.parametrize(
    "made",
    [
        Parcel(3),
        Parcel(weight=3),
        Parcel(3, "nobody"),
        Parcel(3, signed=False),
        Parcel.of({"weight": 3}),
    ],
)
def test_what_is_not_given_has_its_default(made):
    assert made == Parcel(3, "nobody", False)
    assert (made.weight, made.to, made.signed) == (3, "nobody", False)


@pytest.mark.parametrize(
    ("values", "named", "why"),
    [
        ((), {}, "Parcel lacks weight"),
        ((), {"to": "Ann"}, "Parcel lacks weight"),
        ((1, "Ann", True, 4), {}, "Parcel takes weight, to, signed"),
        ((1,), {"weight": 1}, "Parcel takes weight, to, signed"),
        ((1,), {"colour": "red"}, "Parcel takes weight, to, signed"),
    ],
)
def test_what_does_not_fit_is_refused(values, named, why):
    with pytest.raises(TypeError, match=why):
        Parcel(*values, **named)


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError, match=r"Parcel\.weight"):
        Parcel(1).weight = 2
