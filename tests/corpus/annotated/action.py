from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from aws_lambda_typing import Context


class Event(TypedDict, total=False):
    street: str
    number: int


@dataclass(order=True)
class Address:
    street: str
    number: int = 1
    tags: list[str] = field(default_factory=list)


def main(event: Event, context: Context | None = None) -> dict[str, NoSuchName]:
    address = Address(**event)
    address.tags.append("checked")
    return {"address": asdict(address), "context": context}
