"""
A frozen value with named fields, whose class is defined in almost no time.

Messages and commands are thirty small classes. `dataclasses` compiles six methods for each when it
is imported. That takes 18 ms, as long as the interpreter itself takes to start, and all of it
before the first request can be served. Here all classes share one set of methods. Type checkers see
a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        """Return a decorator that changes nothing, because `typing` is half a megabyte."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Record:
    """
    The base of such values.

    A class attribute is the default of a field, and is never changed.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[int] = 0
    """How many fields have no default; they come first."""

    def __init_subclass__(cls) -> None:
        own = [
            name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")
        ]
        cls.fields = (*cls.fields, *own)
        cls.required = sum(not hasattr(cls, name) for name in cls.fields)

    def __init__(self, *values: Any, **named: Any) -> None:
        if self.required <= len(values) <= len(self.fields) and not named:
            self.__dict__.update(zip(self.fields, values))  # noqa: B905 - some have defaults
            return
        given = dict(zip(self.fields, values, strict=False), **named)
        if len(given) < len(values) + len(named) or not given.keys() <= set(self.fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.fields)}")
        for name in self.fields:
            if name not in given and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} lacks {name}")
        self.__dict__.update(given)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """
        Return a record with these values and defaults for the other fields.

        Names are not checked.
        """
        record = cls.__new__(cls)
        record.__dict__.update(values)
        return record

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        pairs = zip(self.fields, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.fields)
