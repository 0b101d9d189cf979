"""How results were made: what is kept of it, and which tasks run again for results that are lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from actorrt.ids import ObjectId
from actorrt.tasks.policy.origins import DOUBTFUL_COUNT, MAX_RUNS_COUNT, ORIGIN_BYTES, RUNS_WITHIN_S, Origin, Origins
from actorrt.tasks.policy.search import Search


def object_id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(16, "little"))


class Results:
    """Results of tasks, by numbers, and the store that has some of them."""

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self.origins = Origins(max_bytes)
        self.here: set[ObjectId] = set()
        self.questions_count = 0

    def make(self, number: int, *needs: int, refusal: str = "") -> Origin:
        needed = [self.origins.need(f"argument {at}", object_id(need)) for at, need in enumerate(needs)]
        self.here.add(object_id(number))
        origin = self.origins.made(object_id(number), f"make_{number}", needed, 0, refusal=refusal, payload=None)
        self.origins.check_invariants()
        return origin

    def lose(self, *numbers: int) -> None:
        self.here -= {object_id(number) for number in numbers}

    def search(self, *numbers: int, being_made: Collection[int] = (), now: float = 0.0) -> Search:
        wanted = [self.origins.of(object_id(number)) for number in numbers]
        search = Search(self.origins, [one for one in wanted if one], {object_id(number) for number in being_made}, now)
        while asked := search.to_ask():
            self.questions_count += 1
            search.answered(asked, [one in self.here for one in asked])
        return search

    def runs(self, *numbers: int, being_made: Collection[int] = ()) -> list[int]:
        search = self.search(*numbers, being_made=being_made)
        return numbers_of(search.runs(search.refusals()))

    def refusal(self, number: int, now: float = 0.0) -> str:
        search = self.search(number, now=now)
        (refusal,) = [
            text for at, text in search.refusals().items() if self.origins.get(at).object_id == object_id(number)
        ]
        return refusal

    def let_go(self, *numbers: int) -> None:
        for number in numbers:
            origin = self.origins.of(object_id(number))
            if origin is not None:
                self.origins.let_go(origin.number)
        doubtful = self.origins.doubtful()
        self.origins.looked_at([(origin, origin.object_id not in self.here) for origin in doubtful])
        self.origins.check_invariants()


def numbers_of(origins: Iterable[Origin]) -> list[int]:
    return [int.from_bytes(origin.object_id, "little") for origin in origins]


def diamond() -> Results:
    results = Results()
    results.make(1)
    results.make(2, 1)
    results.make(3, 1)
    results.make(4, 2, 3)
    return results


def test_only_the_lost_result_is_made_again_if_its_arguments_are_here() -> None:
    results = diamond()
    results.lose(4)
    assert results.runs(4) == [4]


def test_a_diamond_that_is_lost_is_made_again_once_from_its_top() -> None:
    results = diamond()
    results.lose(1, 2, 3, 4)
    assert results.runs(4) == [1, 2, 3, 4]


def test_what_is_lost_and_not_needed_is_not_made_again() -> None:
    results = diamond()
    results.lose(1, 2, 4)
    assert results.runs(4) == [1, 2, 4]
    results.here.add(object_id(2))
    assert results.runs(4) == [4]


def test_what_is_being_made_already_is_not_made_twice() -> None:
    results = diamond()
    results.lose(1, 2, 3, 4)
    assert results.runs(4, being_made=[2]) == [1, 3, 4]
    assert results.runs(2, 4) == [1, 2, 3, 4]


def test_a_chain_of_10_000_is_found_with_some_questions() -> None:
    results = Results()
    results.make(1)
    for number in range(2, 10_001):
        results.origins.made(
            object_id(number), "f", [results.origins.need("argument 0", object_id(number - 1))], 0, payload=None
        )
    assert results.runs(10_000) == [1 + number for number in range(1, 10_000)]
    assert results.questions_count <= 20
    results.here.clear()
    assert len(results.runs(10_000)) == 10_000


def test_a_refusal_names_the_argument_and_the_task() -> None:
    results = Results()
    results.make(2, 1)
    results.make(3, 2)
    results.lose(2, 3)
    assert results.refusal(3).startswith("argument 0 of task make_2(), object ")
    assert "no task that this process has submitted made it" in results.refusal(3)
    assert results.runs(3) == []
    results.here.add(object_id(1))
    assert results.runs(3) == [2, 3]


def test_a_task_that_must_not_run_twice_is_not_run_again_nor_are_those_only_needed_for_it() -> None:
    results = Results()
    results.make(1)
    results.make(2, refusal="task make_2() has retries=0")
    results.make(3, 1, 2)
    results.lose(1, 2, 3)
    assert results.refusal(3) == "task make_2() has retries=0"
    assert results.runs(3) == []
    results.make(4, 1)
    results.lose(4)
    assert results.runs(3, 4) == [1, 4]


def test_a_task_runs_again_a_few_times_within_a_minute() -> None:
    results = Results()
    origin = results.make(1)
    results.lose(1)
    for _ in range(MAX_RUNS_COUNT):
        results.origins.runs(origin, 0.0)
    assert "has run again 3 times within 60 s" in results.refusal(1, now=1.0)
    search = results.search(1, now=RUNS_WITHIN_S + 1.0)
    assert search.refusals() == {}


def test_the_oldest_are_dropped_at_the_bound_and_the_error_says_so() -> None:
    results = Results(max_bytes=3 * ORIGIN_BYTES)
    for number in range(1, 5):
        results.make(number, *([number - 1] if number > 1 else []))
    assert (len(results.origins), results.origins.dropped_count) == (3, 1)
    results.lose(1, 2, 3, 4)
    assert "argument 0 of task make_2(), the result of task make_1(), is gone" in results.refusal(4)
    assert "has been dropped: at most 64 MiB of that are kept" in results.refusal(4)


def test_an_origin_is_kept_while_its_object_or_what_was_made_from_it_may_be_asked_for() -> None:
    results = diamond()
    results.lose(1, 2)
    results.let_go(1, 2, 3)
    assert len(results.origins) == 4, "what was made from them may be lost"
    results.let_go(4)
    assert len(results.origins) == 4, "another process has a ref"
    results.lose(3, 4)
    results.let_go()
    assert len(results.origins) == 0
    assert results.origins.size_bytes == 0


def test_the_end_of_a_long_chain_lets_all_of_it_go() -> None:
    results = Results()
    for number in range(1, 20_001):
        need = [] if number == 1 else [results.origins.need("argument 0", object_id(number - 1))]
        origin = results.origins.made(object_id(number), "f", need, 0, payload=None)
        if number < 20_000:
            results.origins.let_go(origin.number)
    while doubtful := results.origins.doubtful():
        assert len(doubtful) <= DOUBTFUL_COUNT
        results.origins.looked_at([(origin, True) for origin in doubtful])
    assert len(results.origins) == 20_000
    results.let_go(20_000)
    assert len(results.origins) == 0


def test_what_vanishes_while_it_is_looked_for_is_made_again_too() -> None:
    results = diamond()
    results.lose(4)
    search = results.search(4)
    assert numbers_of(search.runs({})) == [4]
    results.lose(1, 2)
    search.vanished(object_id(2), results.origins.of(object_id(2)))
    while asked := search.to_ask():
        search.answered(asked, [one in results.here for one in asked])
    assert numbers_of(search.runs(search.refusals())) == [1, 2, 4]
