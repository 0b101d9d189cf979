"""Opens the arguments of an attempt: values in the message, and values in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from actorrt.actors.wire.by_reference import Arrival, StoredValue
from actorrt.actors.wire.payload import Payloads
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError

if TYPE_CHECKING:
    from actorrt.tasks.working.attempt import Attempt

Stored = ObjectRef[Any] | StoredValue


class OpenedArguments:
    """The arguments of one attempt, as far as they are there.

    Args:
        payloads: opens them.
        attempt: the attempt.

    Raises:
        Exception: whatever the code of a value raises when it is rebuilt.
    """

    def __init__(self, payloads: Payloads, attempt: Attempt) -> None:
        inputs, buffers = attempt.inputs, attempt.buffers
        own_count = len(buffers) - sum([entry[2] for entry in inputs])
        own, beside = buffers[:own_count], iter(buffers[own_count:])
        self._payloads = payloads
        self._body, self._own = attempt.body, own
        self._stored = payloads.stored(attempt.body, own)
        self._inputs = list(self._opened_inputs(inputs, beside))

    def _opened_inputs(
        self, inputs: Sequence[Sequence[Any]], beside: Iterator[Any]
    ) -> Iterator[tuple[int | str, Stored | None, Any]]:
        for at, body, count in inputs:
            buffers = [next(beside) for _ in range(count)]
            stored = self._payloads.stored(body, buffers)
            yield at, stored, None if stored is not None else self._payloads.open_value(body, buffers)

    def missing(self) -> list[Stored]:
        """Return the values in the store that are not there yet."""
        return [stored for stored in self._in_store() if not stored.is_there()]

    def _in_store(self) -> list[Stored]:
        found = [self._stored, *(stored for _, stored, _ in self._inputs)]
        return [stored for stored in found if stored is not None]

    async def arrive(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments when all values in the store are there, also those that are lost meanwhile."""
        for stored in self.missing():
            await Arrival(stored)
        while True:
            try:
                return self.values()
            except NotReadyError:
                lost = next(stored for stored in self._in_store() if not stored.is_in_view())
                await Arrival(lost.once_more())

    def values(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments. Values in the store have arrived.

        Raises:
            NotReadyError: a value has been lost since it was there.
        """
        if self._stored is not None:
            args, kwargs = self._stored.value()
        else:
            args, kwargs = self._payloads.open_call(self._body, self._own)
        if not self._inputs:
            return args, kwargs
        placed = list(args)
        named = dict(kwargs)
        for at, stored, value in self._inputs:
            opened = value if stored is None else stored.value()
            if isinstance(at, int):
                placed[at] = opened
            else:
                named[at] = opened
        return tuple(placed), named
