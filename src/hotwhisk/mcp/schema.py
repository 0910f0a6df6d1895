"""
Describe what an action does and takes, from the text of its source. None of it is run.

The description is the docstring of the handler, or else that of the module. A handler takes one
event, an object. If its annotation is a TypedDict of the same source, that says which members the
event has:

    class Place(TypedDict):
        city: str
        "Where it is."
        days: NotRequired[int]

    def main(event: Place): ...

Otherwise the members are those that the handler reads by ``event["city"]`` and
``event.get("days", 3)``. Others are allowed in any case, as the action may pass them on.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

MOST_SOURCE: Final = 1 << 20
"""Characters of a source from which on it is not read."""
LONGEST_DEFAULT: Final = 200
"""Characters of the JSON of a default from which on it is not shown."""

Schema = dict[str, Any]

_PLAIN: Final[dict[str, Schema]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "dict": {"type": "object"},
    "Mapping": {"type": "object"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "Sequence": {"type": "array"},
}
_OBJECTS: Final = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_ARRAYS: Final = frozenset({"list", "List", "Sequence", "set", "Set"})
_PASSED: Final = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Description:
    """What an action does, as a text, and the JSON Schema of its event."""

    text: str = ""
    schema: Schema = field(default_factory=lambda: {"type": "object"}, hash=False)


def describe(source: str, main: str = "main") -> Description:
    """Return the description of the handler ``main``; an open object if the source is unclear."""
    try:
        return _describe(source, main) if len(source) <= MOST_SOURCE else Description()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Description()


def _describe(source: str, main: str) -> Description:
    tree = ast.parse(source)
    defined = {each.name: each for each in _definitions(tree.body)}
    handler = defined.get(main) or defined.get(_given_to_start(tree))
    text = ast.get_docstring(tree) or ""
    if not isinstance(handler, _Function):
        return Description(text)
    classes = {name: each for name, each in defined.items() if isinstance(each, ast.ClassDef)}
    return Description(ast.get_docstring(handler) or text, _of_event(handler, classes))


def _definitions(body: list[ast.stmt]) -> Iterator[_Function | ast.ClassDef]:
    """Yield the functions and classes of a module, also those in an ``if`` or a ``try``."""
    for node in body:
        if isinstance(node, _Function | ast.ClassDef):
            yield node
        else:
            for name in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from _definitions(handler.body)


def _given_to_start(tree: ast.Module) -> str:
    """Return the name of the handler that the source gives to ``hotwhisk.start``, or nothing."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name("start") | ast.Attribute(attr="start"), [ast.Name(name), *_]):
                return name
    return ""


def _of_event(handler: _Function, classes: dict[str, ast.ClassDef]) -> Schema:
    parameters = [*handler.args.posonlyargs, *handler.args.args]
    if not parameters:
        return {"type": "object"}
    event = parameters[0]
    found = _Types(classes).schema(event.annotation)
    if "properties" in found:
        return found
    members: dict[str, Schema] = {}
    for name, schema in _members(handler, event.arg):
        members[name] = members.get(name) or schema
    return {"type": "object", **({"properties": members} if members else {})}


def _members(handler: _Function, event: str) -> Iterator[tuple[str, Schema]]:
    """Yield each member of the event that the handler reads by name, with the default if any."""
    for node in ast.walk(handler):
        match node:
            case ast.Subscript(ast.Name(name), ast.Constant(str(key)), ast.Load()) if name == event:
                yield key, {}
            case ast.Call(
                ast.Attribute(ast.Name(name), "get"), [ast.Constant(str(key)), *rest]
            ) if name == event:
                yield key, _with_default(rest)


def _with_default(arguments: list[ast.expr]) -> Schema:
    try:
        value = ast.literal_eval(arguments[0]) if arguments else None
        shown = json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError, MemoryError):  # no literal, or none of JSON
        return {}
    return {"default": value} if value is not None and len(shown) <= LONGEST_DEFAULT else {}


class _Types:
    """Makes schemas of annotations. ``classes`` are those of the source, by name."""

    def __init__(self, classes: dict[str, ast.ClassDef]) -> None:
        self._classes = classes
        self._within: list[str] = []
        """The classes whose members are being read: one of them again gets an open schema."""

    def schema(self, annotation: ast.expr | None) -> Schema:
        """Return the schema of an annotation. One that is unknown allows every value."""
        match annotation:
            case ast.Constant(None):
                return dict(_PLAIN["None"])
            case ast.Constant(str(text)):
                try:
                    return self.schema(ast.parse(text, mode="eval").body)
                except (SyntaxError, ValueError):
                    return {}
            case ast.BinOp(left, ast.BitOr(), right):
                return _any_of([self.schema(left), self.schema(right)])
            case ast.Subscript(generic, arguments):
                inner = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
                return self._generic(_name(generic), inner)
            case ast.Name() | ast.Attribute():
                return self._named(_name(annotation))
        return {}

    def _named(self, name: str) -> Schema:
        found = self._classes.get(name)
        if found is None or not self._is_typed_dict(found):
            return dict(_PLAIN.get(name, {}))
        if name in self._within:
            return {"type": "object"}
        self._within.append(name)
        try:
            return self._object(found)
        finally:
            self._within.pop()

    def _generic(self, name: str, inner: list[ast.expr]) -> Schema:
        if not inner:  # `tuple[()]`, or a mistake
            return dict(_PLAIN.get(name, {}))
        if name in _PASSED:
            return self.schema(inner[0])
        if name == "Annotated":
            values = [each.value for each in inner[1:] if isinstance(each, ast.Constant)]
            texts = [each for each in values if isinstance(each, str)]
            described = {"description": " ".join(texts)} if texts else {}
            return {**self.schema(inner[0]), **described}
        if name == "Literal":
            values = [each.value for each in inner if isinstance(each, ast.Constant)]
            known = len(values) == len(inner) and all(
                isinstance(each, str | int | bool | None) for each in values
            )
            return {"enum": values} if known else {}
        if name == "Optional":
            return _any_of([self.schema(inner[0]), dict(_PLAIN["None"])])
        if name == "Union":
            return _any_of([self.schema(each) for each in inner])
        if name in _ARRAYS:
            return _with("array", "items", self.schema(inner[0]))
        if name in _OBJECTS:
            return _with("object", "additionalProperties", self.schema(inner[-1]))
        return dict(_PLAIN.get(name, {}))

    def _is_typed_dict(self, found: ast.ClassDef, depth: int = 0) -> bool:
        names = [_name(base) for base in found.bases]
        return "TypedDict" in names or any(
            depth < len(self._classes) and self._is_typed_dict(self._classes[name], depth + 1)
            for name in names
            if name in self._classes
        )

    def _object(self, found: ast.ClassDef) -> Schema:
        """Return the schema of a TypedDict, with the members of those that it is derived from."""
        members: dict[str, Schema] = {}
        required: list[str] = []
        for base in found.bases:
            inherited = self._named(_name(base))
            members |= inherited.get("properties", {})
            required += inherited.get("required", [])
        total = not any(
            each.arg == "total" and isinstance(each.value, ast.Constant) and not each.value.value
            for each in found.keywords
        )
        for at, node in enumerate(found.body):
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                continue
            members[node.target.id] = self.schema(node.annotation) | _text_after(found.body, at)
            if _is_required(node.annotation, total=total):
                required.append(node.target.id)
        text = ast.get_docstring(found)
        described = {"description": text} if text and len(self._within) > 1 else {}
        needed = {"required": list(dict.fromkeys(required))} if required else {}
        return {"type": "object", **described, "properties": members, **needed}


def _any_of(schemas: list[Schema]) -> Schema:
    """Return a schema for values of any of some schemas."""
    if not all(schemas):
        return {}
    flat: list[Schema] = []
    for each in schemas:
        flat += each["anyOf"] if each.keys() == {"anyOf"} else [each]
    return {"anyOf": flat}


def _with(kind: str, key: str, inner: Schema) -> Schema:
    return {"type": kind, **({key: inner} if inner else {})}


def _name(node: ast.expr) -> str:
    """Return the last part of a name, or an empty text for another expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text_after(body: list[ast.stmt], at: int) -> Schema:
    """Return what describes a member: the text that stands below it."""
    after = body[at + 1] if at + 1 < len(body) else None
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
        text = after.value.value
        return {"description": " ".join(text.split())} if isinstance(text, str) else {}
    return {}


def _is_required(annotation: ast.expr, *, total: bool) -> bool:
    """Return whether an event must have a member, by ``Required`` and ``NotRequired``."""
    node: ast.expr = annotation
    while isinstance(node, ast.Subscript):
        name = _name(node.value)
        if name in ("Required", "NotRequired"):
            return name == "Required"
        if name not in ("Annotated", "ReadOnly"):
            break
        node = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
    return total
