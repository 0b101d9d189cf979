"""Joining over real sockets on loopback: admitted nodes, and refused ones with the reason."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.dialling import dial, is_open
from actorrt.cluster.joining.join import ask_why, join, read_token
from actorrt.cluster.joining.messages import Question
from actorrt.cluster.joining.port import MOST_HALF_OPEN
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security import minting
from actorrt.cluster.security.card import CARD_S, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import client_context
from actorrt.cluster.security.token import split_host_port
from actorrt.errors import AuthenticationError, ControlUnavailableError, PeerUnreachableError
from tests.integration.joining.entry_node import EntryNode, entry_node, joined, refusals_of, stranger


async def test_node_joins_by_a_token_and_again_by_its_card(entry: EntryNode, newcomer: StateDirectory) -> None:
    token = read_token((await entry.token(uses=1)).text())
    found = await join(token, newcomer.identity, wall=time.time, about=b"about me")
    assert (found.view, found.local_host, found.seen_host) == (b"the view", "127.0.0.1", "127.0.0.1")
    assert found.entry.node == entry.directory.identity.node
    newcomer.keep_membership(found.authority, found.issuer, found.card)
    again = await join(newcomer.credentials(), newcomer.identity, wall=time.time, addresses=[entry.address])
    assert again.card.node == newcomer.identity.node
    assert [(joiner.has_token, joiner.about) for joiner in entry.enrolled] == [(True, b"about me"), (False, b"")]
    assert entry.admission.statistics().authenticated == 2
    assert entry.refused == {}


async def test_node_that_has_joined_admits_others_itself(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    await joined(newcomer, entry)
    newcomer.close()
    async with entry_node(tmp_path / "newcomer") as second:
        third = Identity.make(os.urandom)
        found = await join(await second.token(), third, wall=time.time)
        assert found.authority == entry.directory.authority


def test_port_and_clients_work_on_uvloop_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with entry_node(tmp_path / "entry") as entry:
            found = await join(await entry.token(), Identity.make(os.urandom), wall=time.time)
            assert found.authority == entry.directory.authority
            answer = await stranger(entry, messages.framed(messages.pack(messages.ASK, Question())))
            assert answer.kind == messages.REFUSAL
            stalled = [await dial(entry.address) for _ in range(2 * MOST_HALF_OPEN)]
            await join(await entry.token(), Identity.make(os.urandom), wall=time.time)
            assert entry.admission.statistics().most_half_open == MOST_HALF_OPEN
            for connection in stalled:
                connection.close()

    uvloop.run(scenario())


async def test_driver_node_joins_and_its_directory_has_no_key_of_the_authority(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    await joined(newcomer, entry, Role.DRIVER)
    assert newcomer.issuer is None
    assert "authority.key" not in os.listdir(newcomer.path)


async def test_second_address_of_a_token_is_tried_when_the_first_is_dead_or_somebody_else(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other cluster") as other:
        token = await entry.token(addresses=["127.0.0.1:1", other.address, entry.address])
        assert (await join(token, newcomer.identity, wall=time.time)).authority == entry.directory.authority


async def test_fifty_nodes_join_at_the_same_time(entry: EntryNode) -> None:
    token = await entry.token(uses=50)
    nodes = [Identity.make(os.urandom) for _ in range(51)]
    outcomes = await asyncio.gather(*(join(token, node, wall=time.time) for node in nodes), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [str(error) for error in refused] == [
        f"{entry.address}: the token is used up: make another one with `actorrt token`"
    ]
    assert entry.rows.rows[token.id][0].uses_left == 0


# Refused, with a reason


async def test_refused_tokens_are_authentication_errors_in_one_line_and_logged_once(
    entry: EntryNode, newcomer: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    token = await entry.token()
    await minting.revoke_token(entry.rows, token.id)
    for _ in range(3):
        with pytest.raises(AuthenticationError) as caught:
            await join(token, newcomer.identity, wall=time.time)
        assert type(caught.value) is AuthenticationError
        assert str(caught.value) == f"{entry.address}: the token was revoked: make another one with `actorrt token`"
    assert entry.refused == {"token_revoked": 3}
    assert [record.message for record in caplog.records if "refused" in record.message] == [
        "refused 127.0.0.1: the token was revoked: make another one with `actorrt token` (further ones for this reason "
        "are only counted)"
    ]
    assert entry.enrolled == []


async def test_token_of_another_cluster_is_refused_by_the_joining_side(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other") as other:
        token = await other.token(addresses=[entry.address])
        with pytest.raises(AuthenticationError, match="belongs to another cluster than the token"):
            await join(token, newcomer.identity, wall=time.time)
    assert entry.enrolled == []


async def test_card_of_another_cluster_is_refused_on_both_sides(
    entry: EntryNode, newcomer: StateDirectory, tmp_path: Path
) -> None:
    async with entry_node(tmp_path / "other") as other:
        await joined(newcomer, other)
    with pytest.raises(AuthenticationError, match="the far end belongs to another cluster, or is no node"):
        await join(newcomer.credentials(), newcomer.identity, wall=time.time, addresses=[entry.address])
    assert await refusals_of(entry, 1) == {"another_cluster": 1}
    # A client that does not look at the server's card learns it from the alert.
    context = client_context(newcomer.credentials())
    context.verify_mode = ssl.CERT_NONE
    stream = TlsStream(await dial(entry.address), context, is_server=False)
    await stream.handshake()
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        await stream.receive(1_000)
    stream.close()
    assert await refusals_of(entry, 2) == {"another_cluster": 2}


async def test_expired_card_is_refused_by_the_entry_node_with_the_reason(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    assert entry.directory.issuer is not None
    me = newcomer.identity
    old = entry.directory.issuer.issue(
        me.node, me.keys.public, me.public_key, Role.FULL, os.urandom, time.time() - CARD_S - 3 * 86_400
    )
    newcomer.keep_membership(entry.directory.issuer.authority, None, old)
    with pytest.raises(AuthenticationError, match="the card of the joining node expired 3 days ago"):
        await join(newcomer.credentials(), me, wall=time.time, addresses=[entry.address])
    assert entry.refused == {"card_expired": 1}


async def test_clocks_an_hour_apart_are_refused_with_the_difference(entry: EntryNode, newcomer: StateDirectory) -> None:
    with pytest.raises(AuthenticationError, match="clock of the joining machine is 60 minutes ahead of"):
        await join(await entry.token(), newcomer.identity, wall=lambda: time.time() + 3_600)


async def test_revoked_node_learns_why_when_it_asks(entry: EntryNode, newcomer: StateDirectory) -> None:
    credentials = await joined(newcomer, entry)
    await ask_why(credentials, [entry.address], time.time)
    entry.refusal = RefusedError(Reason.NO_MEMBER, "node x was declared dead 5 s ago: it joins again by itself")
    with pytest.raises(AuthenticationError, match="declared dead 5 s ago"):
        await ask_why(credentials, [entry.address], time.time)
    entry.revoked.add(newcomer.identity.keys.public)
    with pytest.raises(AuthenticationError, match="the key of this node was revoked"):
        await ask_why(credentials, [entry.address], time.time)
    assert entry.refused == {"card_revoked": 1, "no_member": 1}


async def test_without_the_control_store_a_join_ends_with_its_own_error(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    token = await entry.token()
    entry.rows.is_away = True
    with pytest.raises(ControlUnavailableError, match=r"nobody can join now: .*; the token stays valid"):
        await join(token, newcomer.identity, wall=time.time)
    entry.rows.is_away = False
    await join(token, newcomer.identity, wall=time.time)


async def test_defect_in_the_entry_node_ends_one_conversation_only(
    entry: EntryNode, newcomer: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> bytes:
        raise ZeroDivisionError("a defect")

    token = await entry.token()
    kept, entry.admission._membership = entry.admission._membership, type(entry.admission._membership)(broken)
    with pytest.raises(PeerUnreachableError, match="closed the connection without a reason"):
        await join(token, newcomer.identity, wall=time.time)
    assert "a defect in the conversation with 127.0.0.1" in caplog.text
    entry.admission._membership = kept
    await join(token, newcomer.identity, wall=time.time)
    assert entry.refused == {"defect": 1}


# Addresses


async def test_address_that_can_not_be_dialled_is_named_with_the_next_step(
    entry: EntryNode, newcomer: StateDirectory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = f"127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(PeerUnreachableError) as caught:
        await join(await entry.token(addresses=[dead]), newcomer.identity, wall=time.time)
    assert str(caught.value) == (
        f"{dead} can't be reached: no node listens there (connection refused); such an address is this machine's own: "
        "to join from another machine, start the entry node with --listen HOST, and make a new token there"
    )
    assert not await is_open(dead)
    assert await is_open(entry.address)
    with pytest.raises(PeerUnreachableError, match="no machine has this name"):
        await dial("no-such-host.invalid:7001")
    with (
        _full_listener() as full,
        pytest.raises(PeerUnreachableError, match=r"no answer within 0\.2 s: a firewall may"),
    ):
        await dial(full, 0.2)
    with pytest.raises(PeerUnreachableError, match="is not HOST:PORT"):
        await dial("nonsense")


class _full_listener:
    """A port whose queue of connections is full, so that nothing answers."""

    def __enter__(self) -> str:
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=0)]
        place = self.sockets[0].getsockname()
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(place)
            self.sockets.append(connection)
        return f"127.0.0.1:{place[1]}"

    def __exit__(self, *_: object) -> None:
        for connection in self.sockets:
            connection.close()


async def test_port_in_use_is_named_with_the_next_step(entry: EntryNode, tmp_path: Path) -> None:
    port = split_host_port(entry.address)[1]
    with pytest.raises(OSError) as caught:
        async with entry_node(tmp_path / "second", port=port):
            pass
    assert str(caught.value) == (
        f"can't listen at {entry.address}: another process uses the port: give another one with --listen HOST:PORT, or "
        "stop that process"
    )


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.7", "this machine has no such address"), ("no-such-host.invalid", "no machine has this name")],
)
async def test_address_that_is_not_of_this_machine_is_named_with_the_next_step(
    tmp_path: Path, host: str, words: str
) -> None:
    with pytest.raises(OSError, match=f"can't listen at {host}:0: {words}: .*--listen"):
        async with entry_node(tmp_path / "second", host=host):
            pass
