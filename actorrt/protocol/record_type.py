"""Pure: the type of records, which makes the annotations of a class its fields.

A dataclass would do, but its decorator compiles code for each class, and makes each class with slots twice. The ninety
records of the protocol would take 10 ms of the start of a process. `RecordType` makes a class once, and `__init__` is
compiled when the first record of the class is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any, NamedTuple, dataclass_transform


class RecordField(NamedTuple):
    """A field of a record.

    Attributes:
        name: the name, which is the key in the map that travels.
        default: the value that an absent field stands for; MISSING if the field has to be present.
        since: the first version of the protocol that has the field.
    """

    name: str
    default: Any = MISSING
    since: int = 1


def younger(*, since: int, default: Any) -> Any:
    """Declare a field that a later version of the protocol has added. An older sender means the default."""
    return RecordField("", default, since)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(younger,))
class RecordType(type):
    """The type of records. Their annotations are their fields, which are given by name and kept in slots.

    Type checkers refuse a change of a record. Nothing refuses it at run time, because the check would cost a call for
    each field.
    """

    record_fields: tuple[RecordField, ...]

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> RecordType:
        if "__slots__" not in namespace:  # the base classes have some: their annotations are no fields
            names = tuple(namespace.get("__annotations__", ()))
            namespace["record_fields"] = tuple(_field(name, namespace.pop(name, MISSING)) for name in names)
            namespace["__slots__"] = names
        return super().__new__(cls, name, bases, namespace)


def _field(name: str, assigned: Any) -> RecordField:
    return assigned._replace(name=name) if isinstance(assigned, RecordField) else RecordField(name, assigned)


def fields_of(cls: Any) -> Sequence[RecordField]:
    """Return the fields of a record, or of a dataclass whose defaults are plain values."""
    if isinstance(cls, RecordType):
        return cls.record_fields
    return [RecordField(field.name, field.default) for field in fields(cls)]


def compile_init(cls: Any) -> None:
    """Give a record its `__init__`, as a dataclass has one: one call sets all fields."""
    names = [field.name for field in cls.record_fields]
    defaults = {field.name: field.default for field in cls.record_fields if field.default is not MISSING}
    parameters = [f"{name}=defaults[{name!r}]" if name in defaults else name for name in names]
    head = ", ".join(["self", *(["*", *parameters] if parameters else [])])
    body = "; ".join(f"self.{name} = {name}" for name in names) or "pass"
    namespace: dict[str, Any] = {"defaults": defaults}
    exec(f"def __init__({head}): {body}", namespace)
    cls.__init__ = namespace["__init__"]
    cls.__init__.__qualname__ = f"{cls.__qualname__}.__init__"  # errors about arguments name the class
