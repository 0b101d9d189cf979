"""Pure: checks HELLOs, and remembers the accepted ones."""

from __future__ import annotations

from collections.abc import Callable

from actorrt.ids import PeerId, short
from actorrt.transport.frames.codec import BadFrameError, Hello, agree_on_version, read_hello
from actorrt.transport.frames.form import FormChecker
from actorrt.transport.interfaces import Buffer


class Hellos:
    """Checks HELLOs and remembers the last one of each peer.

    Args:
        own_peer: the id of this process's endpoint.
        check_origin: called with each HELLO; raises AuthenticationError if another process than its peer sent it.
        check_address: called with the address in each HELLO; raises ValueError if this transport can't connect to it.
        on_accepted: called with each HELLO that is accepted.
    """

    def __init__(
        self,
        own_peer: PeerId,
        check_origin: Callable[[Hello], None],
        check_address: Callable[[str], None],
        on_accepted: Callable[[Hello], None],
    ) -> None:
        self.own_peer = own_peer
        self._check_origin = check_origin
        self._check_address = check_address
        self._on_accepted = on_accepted
        self._form = FormChecker()
        self._accepted: dict[PeerId, Hello] = {}

    def check(self, peer: PeerId, head: Buffer) -> Hello:
        """Return the HELLO in `head`, the first message of a connection of `peer`.

        Raises:
            AuthenticationError: another process sent the HELLO in the peer's name, so the peer must not be failed.
            BadFrameError: it is no HELLO, names another peer, or gives an address that we can't connect to.
            WireVersionError: we have no protocol version in common.
        """
        hello = read_hello(self._form.checked_notice(head))
        if hello.peer != peer:
            raise BadFrameError(f"a HELLO in the name of {short(hello.peer)} on a link of {short(peer)}")
        self._check_origin(hello)
        agree_on_version(hello)
        try:
            self._check_address(hello.address)
        except ValueError as error:
            raise BadFrameError(f"a HELLO of a peer that can't be answered: {error}") from error
        return hello

    def remember(self, hello: Hello) -> None:
        """Keep the HELLO until `forget`. It replaces an earlier HELLO of the peer."""
        self._accepted[hello.peer] = hello
        self._on_accepted(hello)

    def forget(self, peer: PeerId) -> None:
        """Forget the peer's HELLO, if there was one."""
        self._accepted.pop(peer, None)

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address in the peer's HELLO that this transport can connect to; None if there is none."""
        hello = self._accepted.get(peer)
        return None if hello is None else hello.address

    def logical_address_of(self, peer: PeerId) -> str | None:
        """Return the peer's address in its cluster, otherwise the other address; None if there is no HELLO."""
        hello = self._accepted.get(peer)
        return None if hello is None else hello.logical or hello.address

    def node_of(self, peer: PeerId) -> bytes:
        """Return the node's name in the peer's HELLO; empty if there is none."""
        hello = self._accepted.get(peer)
        return b"" if hello is None else hello.node
