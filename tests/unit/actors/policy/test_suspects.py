"""What waits for long is probed, and probed again after growing pauses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actorrt.actors.policy.suspects import Suspects

LOOK_S, PROBE_S = 0.25, 2.0


class Watched:
    """Suspects, and since when each has waited."""

    def __init__(self) -> None:
        self.suspects: Suspects[str] = Suspects(LOOK_S, PROBE_S)
        self.since: dict[str, float | None] = {}
        self.now = 0.0

    def waits(self, name: str) -> bool:
        self.since[name] = self.now
        return self.suspects.suspect(name)

    def look(self) -> list[str]:
        self.now += LOOK_S
        return self.suspects.look(self.now, self.since.__getitem__)


def test_only_the_first_suspect_begins_the_looks_and_the_last_one_that_goes_ends_them() -> None:
    watched = Watched()
    assert (watched.waits("a"), watched.waits("b"), watched.suspects.is_looking) == (True, False, True)
    watched.since = {"a": None, "b": None}
    assert (watched.look(), watched.suspects.is_looking) == ([], False)
    assert watched.waits("a")


def test_a_wait_is_probed_after_pauses_that_grow_with_it() -> None:
    watched, probed_at = Watched(), []
    watched.waits("a")
    for _ in range(40):
        for name in watched.look():
            probed_at.append(watched.now)
            watched.suspects.probed(name)
    assert probed_at == [0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_another_wait_of_the_same_suspect_is_probed_as_a_new_one() -> None:
    watched = Watched()
    watched.waits("a")
    for _ in range(10):
        for name in watched.look():
            watched.suspects.probed(name)
    watched.since["a"] = watched.now
    assert watched.look() == ["a"]


def test_while_a_probe_is_under_way_there_is_no_second_one_and_the_next_look_may_be_asked_for() -> None:
    watched = Watched()
    watched.waits("a")
    assert [watched.look() for _ in range(8)] == [["a"], *[[]] * 7]
    watched.suspects.probed("a", is_again=True)
    assert watched.look() == ["a"]


@given(st.lists(st.tuples(st.sampled_from(["waits", "ends", "rests", "look", "probed"]), st.sampled_from("abc"))))
def test_every_suspect_that_goes_on_waiting_is_probed(steps: list[tuple[str, str]]) -> None:
    watched, under_way = Watched(), set[str]()
    for step, name in steps:
        if step == "waits":
            watched.waits(name)
        elif step == "look":
            due = watched.look()
            assert not under_way & set(due), "a second probe"
            under_way |= set(due)
        elif step == "probed":
            under_way.discard(name)
            watched.suspects.probed(name)
        elif name in watched.since:
            watched.since[name] = None if step == "ends" else watched.now
        watched.suspects.check_invariants()
    for name in list(under_way):
        watched.suspects.probed(name)
    waiting = {name for name, since in watched.since.items() if since is not None}
    for name in waiting:
        watched.suspects.suspect(name)
    probed = set().union(*[watched.look() for _ in range(20)])
    assert waiting <= probed
