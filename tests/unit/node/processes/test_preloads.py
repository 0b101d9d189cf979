"""What zygotes import at users' wish: what is asked of which zygote, and what is given up."""

import pytest

from actorrt.node.processes.preloads import Preloads

PATH = ["/somewhere"]


@pytest.fixture
def preloads():
    made = Preloads()
    assert asked(made.order(["a", "b", "a", "c"], PATH)) == ["a", "b", "c"]
    return made


def asked(requests):
    assert all(request["sys_path"] == PATH for request in requests)
    return [request["module"] for request in requests]


def test_module_that_was_ordered_is_not_requested_again(preloads):
    assert asked(preloads.order(["c", "d", "a"], PATH)) == ["d"]


def test_next_zygote_is_asked_for_all_that_could_be_imported(preloads):
    preloads.answered("a", None)
    preloads.answered("b", "ValueError: no")
    preloads.answered("c", None)
    assert preloads.zygote_ended() is None
    assert asked(preloads.of_next_zygote()) == ["a", "c"]
    assert preloads.order(["b"], PATH) == []


def test_zygote_that_ends_was_at_the_first_module_without_an_answer(preloads):
    preloads.answered("a", None)
    assert preloads.zygote_ended() == ("b", "the zygote ended while it imported it")
    assert asked(preloads.of_next_zygote()) == ["a", "c"]
    preloads.answered("a", None)
    preloads.answered("c", None)
    assert preloads.zygote_ended() is None


def test_zygote_that_says_why_it_ends_is_believed(preloads):
    preloads.answered("a", None)
    preloads.zygote_will_exit("b", "it starts threads")
    assert preloads.zygote_ended() == ("b", "it starts threads")
    assert asked(preloads.of_next_zygote()) == ["a", "c"]


def test_zygote_that_was_not_ready_is_not_held_against_a_module(preloads):
    assert asked(preloads.of_next_zygote()) == ["a", "b", "c"]
    for module in "abc":
        preloads.answered(module, None)
    assert preloads.zygote_ended() is None
