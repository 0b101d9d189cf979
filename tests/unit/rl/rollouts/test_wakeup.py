"""A wakeup ends a wait, from any thread, once."""

from __future__ import annotations

import threading

import pytest

import actorrt as art
from actorrt.rl.rollouts.wakeup import Wakeup, wait_for_first
from tests.unit.rl.fakes import FakeReply


def test_wakeup_ends_the_wait_under_way():
    wakeup, reply = Wakeup(), FakeReply()
    waiting = wait_for_first([reply], None, wakeup)
    thread = threading.Thread(target=wakeup.wake)
    thread.start()
    assert waiting.result() == ([wakeup], [reply])
    thread.join()


def test_wakeup_ends_the_next_wait_if_none_is_under_way():
    wakeup = Wakeup()
    wakeup.wake()
    assert wait_for_first([], None, wakeup).result() == ([wakeup], [])


def test_cleared_wakeup_ends_no_wait():
    wakeup, reply = Wakeup(), FakeReply()
    wakeup.wake()
    wakeup.clear()
    waiting = wait_for_first([reply], None, wakeup)
    assert not waiting.done()
    reply.set_value(1)
    assert waiting.result() == ([reply], [wakeup])


def test_each_callback_is_called_once_and_not_when_it_was_removed():
    wakeup, called = Wakeup(), []
    wakeup.add_callback(called.append)
    wakeup.add_callback(forgotten := [].append)
    wakeup.remove_callback(forgotten)
    wakeup.remove_callback(forgotten)
    wakeup.wake()
    wakeup.wake()
    assert called == [wakeup]
    wakeup.add_callback(called.append)
    assert called == [wakeup] * 2


def test_reply_that_has_come_needs_no_wait():
    come, open_reply = FakeReply.of(1), FakeReply()
    done, others = wait_for_first([open_reply, come], None).result()
    assert done == [come]
    assert open_reply in others


@pytest.mark.parametrize(
    ("replies", "given_s", "waited_s"), [([], None, 0.0), ([], 1.5, 1.5), ([FakeReply()], None, None)]
)
def test_wait_without_a_reply_and_without_a_time_ends_at_once(monkeypatch, replies, given_s, waited_s):
    monkeypatch.setattr(art, "wait", lambda items, count, timeout_s: (len(items), count, timeout_s))
    assert wait_for_first(replies, given_s) == (len(replies) + 1, 1, waited_s)
