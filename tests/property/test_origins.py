"""Random graphs of results that are lost in part, against a recursive interpreter: what runs again, and what can't."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.ids import ObjectId
from actorrt.tasks.policy.origins import Origins
from actorrt.tasks.policy.search import Search

GRAPHS = st.lists(st.tuples(st.sets(st.integers(0, 30), max_size=4), st.booleans(), st.booleans()), max_size=30)
"""For each object the objects before it that its task takes, whether it is here, and whether its task may run again.
Objects below 5 were put, and have no origin."""
PUT_COUNT = 5


def object_id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(16, "little"))


def needed(number: int, graph: list[tuple[set[int], bool, bool]], found: set[int]) -> bool:
    """Add what has to run for an object; return whether it can be made."""
    needs, _, may_run = graph[number]
    if number < PUT_COUNT or not may_run:
        return False
    found.add(number)
    return all([graph[below][1] or needed(below, graph, found) for below in needs])


@settings(max_examples=400, deadline=None)
@given(GRAPHS, st.sets(st.integers(0, 30), min_size=1, max_size=3))
def test_what_runs_again_is_what_is_missing_below_what_is_wanted_and_nothing_else(
    drawn: list[tuple[set[int], bool, bool]], wanted: set[int]
) -> None:
    graph = [({n for n in needs if n < at}, is_here, may_run) for at, (needs, is_here, may_run) in enumerate(drawn)]
    origins = Origins()
    made = {}
    for at, (needs, _, may_run) in enumerate(graph):
        if at >= PUT_COUNT:
            taken = [origins.need(f"argument {need}", object_id(need)) for need in sorted(needs)]
            refusal = "" if may_run else "it has retries=0"
            made[at] = origins.made(object_id(at), f"task_{at}", taken, 0, refusal=refusal, payload=None)
    lost = [number for number in wanted if number in made]
    search = Search(origins, [made[number] for number in lost], (), 0.0)
    while asked := search.to_ask():
        search.answered(asked, [graph[int.from_bytes(one, "little")][1] for one in asked])
    refusals = search.refusals()
    expected: set[int] = set()
    for number in lost:
        below: set[int] = set()
        can_be_made = needed(number, graph, below)
        assert can_be_made == (made[number].number not in refusals)
        if can_be_made:
            expected |= below
    order = [int.from_bytes(origin.object_id, "little") for origin in search.runs(refusals)]
    assert set(order) == expected
    for at, number in enumerate(order):
        assert not graph[number][0] & set(order[at:]), "each runs after what it takes"
    origins.check_invariants()
