"""Published values: versions, waiters, and the end of a scope."""

from __future__ import annotations

from actorrt.ids import ObjectId
from actorrt.store.table.versions import Published, Versions

A, B, WAITER = 1, 2, 3
X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)
KEY = (b"job", "weights")


def test_versions_count_from_one_and_name_the_previous_object() -> None:
    versions = Versions()
    assert versions.publish(KEY, X) == (1, None, [])
    assert versions.publish(KEY, Y) == (2, X, [])
    assert versions.publish(KEY, None, b"small") == (3, Y, [])
    assert versions.latest(KEY, 2) == Published(3, None, b"small")


def test_only_a_newer_version_is_returned() -> None:
    versions = Versions()
    assert versions.latest(KEY, 0) is None
    versions.publish(KEY, X)
    assert versions.latest(KEY, 0) == Published(1, X)
    assert versions.latest(KEY, 1) is None


def test_a_waiter_is_told_once_by_the_first_version_that_is_new_enough() -> None:
    versions = Versions()
    assert not versions.wait(KEY, 1, WAITER)
    assert versions.publish(KEY, X) == (1, None, [])
    assert versions.publish(KEY, X) == (2, X, [WAITER])
    assert versions.publish(KEY, X) == (3, X, [])


def test_a_waiter_of_two_versions_is_told_of_the_older_one() -> None:
    versions = Versions()
    versions.wait(KEY, 5, WAITER)
    versions.wait(KEY, 0, WAITER)
    assert versions.publish(KEY, X) == (1, None, [WAITER])


def test_a_wait_for_a_version_that_exists_is_not_noted() -> None:
    versions = Versions()
    versions.publish(KEY, X)
    assert versions.wait(KEY, 0, WAITER)
    assert versions.publish(KEY, Y) == (2, X, [])


def test_a_scope_ends_with_its_last_member_and_releases_its_objects() -> None:
    versions = Versions()
    versions.join(b"job", A)
    versions.join(b"job", B)
    versions.publish(KEY, X)
    versions.publish((b"job", "small"), None, b"")
    assert versions.leave(A) == []
    assert versions.leave(B) == [X]
    assert versions.latest(KEY, 0) is None


def test_a_connection_that_ends_waits_no_more() -> None:
    versions = Versions()
    versions.join(b"job", A)
    versions.wait(KEY, 0, WAITER)
    versions.leave(WAITER)
    assert versions.publish(KEY, X) == (1, None, [])


def test_scopes_do_not_see_each_others_names() -> None:
    versions = Versions()
    versions.publish(KEY, X)
    assert versions.latest((b"other", "weights"), 0) is None
