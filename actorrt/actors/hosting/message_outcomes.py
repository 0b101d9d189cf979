"""The outcome of each message that an actor here was sent, on its way to the caller.

A message that fails without a caller to tell is a dead letter. An outcome that can't be copied, stored or sent is an
error of its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.actors.refs.message import Message, Signal, Tick
from actorrt.actors.wire.payload import Payloads
from actorrt.protocol.envelopes import Body
from actorrt.store.client.required import required
from actorrt.texts import in_words

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.cells.deduplication import Deduplication
    from actorrt.actors.hosting.dead_letters import DeadLetters
    from actorrt.store.client.client import StoreClient


class MessageOutcomes:
    """Takes outcomes to callers, and to all calls with the same key.

    Args:
        dead_letters: takes the messages that fail without a caller to tell.
        payloads: releases the objects in messages that were not opened.
        store: takes results that stay there; None in a process without.
    """

    def __init__(self, dead_letters: DeadLetters, payloads: Payloads, store: StoreClient | None) -> None:
        self._dead_letters = dead_letters
        self._payloads = payloads
        self._store = store

    def succeed(self, message: Message, result: Any) -> None:
        """Take in the result of a method, for its caller and for those who call with its key."""
        deduplication = _deduplication_of(message)
        if deduplication is not None and message.options is not None:
            try:
                deduplication.succeeded(message, message.options["key"], result)
            except Exception as error:  # a message ends here: a result that can't be copied is its error
                self.fail(message, error)
                return
        self.answer(message, result)

    def answer(self, message: Message, result: Any) -> None:
        """Send a result to the caller, or store it for the caller; a result that can't be sent is an error."""
        if message.caller is None or not message.call_id:
            return
        options = message.options
        try:
            if options is not None and "into" in options:
                ref = required(self._store).put(result, object_id=options["into"])
                result = ref if message.caller.is_far else None  # another node is told where it was made
            message.caller.succeed(message.call_id, result)
        except Exception as error:  # a message ends here: a result that can't be copied, stored or sent is its error
            self.fail(message, error)

    def fail(self, message: Message, error: BaseException) -> None:
        """Send the exception that a method raised to the caller."""
        where = f"{message.cell.label}.{message.method}()"
        if message.caller is not None and message.call_id:
            message.caller.fail(message.call_id, error, where, "yes")
        deduplication = _deduplication_of(message)
        if deduplication is not None and message.options is not None:
            deduplication.failed(message, message.options["key"], error, where)

    def refuse(self, message: Message, error: errors.CallError) -> None:
        """Tell the caller why the runtime did not handle a message, or not to its end."""
        if message.call_id and message.caller is not None:
            message.caller.refuse(message.call_id, error)
        elif not (isinstance(message, Tick | Signal) and isinstance(error, errors.ActorDiedError)):
            # the tick of a timer, and news of another actor, end with their actor, and are no dead letters
            label = "an actor" if message.cell is None else message.cell.label
            self._dead_letters.add(label, message.method, str(error))
            self._payloads.release(message.body, message.buffers)
        self._deliver_next_of_key(message)

    def unopened(self, message: Message, error: Exception) -> None:
        """Tell the caller why a method could not be given its arguments: it did not run, and its actor is well."""
        label, method = message.cell.label, message.method
        if message.call_id and message.caller is not None:
            message.caller.fail(message.call_id, error, f"opening the arguments of {label}.{method}()", "no")
        else:
            self._dead_letters.add(label, method, f"its arguments can't be opened: {in_words(error)}")
        self._deliver_next_of_key(message)

    def stray_tell(self, actor: str, method: str, body: Body, buffers: Sequence[Any]) -> None:
        """Called with a tell to an actor that is not here."""
        self._dead_letters.add(actor, method, "the actor is not here")
        self._payloads.release(body, buffers)

    def overflowed(self, cell: Cell, message: Message) -> None:
        """Called when a message found the mailbox at its bound, or was displaced by a newer one."""
        mailbox = cell.mailbox
        assert mailbox is not None
        error = errors.MailboxFullError(
            f"the mailbox of {cell.label} holds {len(mailbox)} messages ({mailbox.queued_bytes} bytes); "
            f"wait for replies, or raise mailbox_messages or mailbox_bytes"
        )
        if message.caller is not None:
            cell.left(message.caller, message)
        self.refuse(message, error)

    def _deliver_next_of_key(self, message: Message) -> None:
        """Deliver the calls that wait for this one's outcome, since it has none; the first of them is handled."""
        deduplication = _deduplication_of(message)
        if deduplication is not None and message.options is not None:
            for other in deduplication.withdrawn(message, message.options["key"]):
                message.cell.deliver(other)


def _deduplication_of(message: Message) -> Deduplication | None:
    """Return the keyed calls of the message's actor, if it is one of them; None where no key is known yet."""
    deduplication: Deduplication | None = None
    if message.options is not None and "key" in message.options and message.cell is not None:
        deduplication = message.cell.deduplication
    return deduplication
