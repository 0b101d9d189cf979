"""Names that users of other runtimes try on refs and actor classes; reading one says what to write in its place."""

from __future__ import annotations


class MissingAttribute:
    """An attribute that does not exist; the error of reading it says what to write in its place.

    A class or an instance may still have an attribute of that name.

    Args:
        hint: what to write; `{0}` stands for the name of the class.
    """

    def __init__(self, hint: str) -> None:
        self._hint = hint

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> object:
        subject = owner.__name__ if instance is None else repr(instance)
        raise AttributeError(f"{subject} has no {self._name!r}: {self._hint.format(owner.__name__)}")
