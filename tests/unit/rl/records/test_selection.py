"""When to evaluate, which policy is best, and when the return to stop at counts as reached."""

from __future__ import annotations

import numpy as np

from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.selection import Selection
from actorrt.rl.rollouts.evaluation import Evaluation


def evaluation(mean, version=0):
    return Evaluation(np.array([mean - 1.0, mean + 1.0]), version)


def take(selection, mean, version):
    selection.evaluated(evaluation(mean, version), Weights(version, np.full(2, version, np.float32)))


def test_evaluations_are_due_after_enough_steps_each():
    selection = Selection(100, None)
    assert [selection.is_due(steps) for steps in (0, 99, 100)] == [False, False, True]
    assert selection.begin(130) == 0
    assert [selection.is_due(steps) for steps in (229, 230)] == [False, True]
    assert selection.begin(230) == 1


def test_best_is_the_highest_mean_and_the_newest_of_equals():
    selection = Selection(100, None)
    for mean, version in ((5.0, 1), (9.0, 2), (9.0, 3), (7.0, 4)):
        take(selection, mean, version)
    assert selection.best is not None
    assert (selection.best.weights.version, selection.best.score, selection.best.std) == (3, 9.0, 1.0)
    assert selection.best.weights.parameters.tolist() == [3.0, 3.0]


def test_threshold_once_passed_is_in_doubt_until_it_is_passed_again():
    selection = Selection(100, 475.0)
    selection.begin(100)
    take(selection, 480.0, 1)
    assert not selection.is_reached
    assert selection.in_doubt is not None
    assert selection.in_doubt.weights.version == 1
    assert selection.is_due(100)
    take(selection, 475.8, 1)
    assert selection.is_reached
    assert selection.best is not None
    assert (selection.best.weights.version, selection.best.score) == (1, 475.8)
    assert not selection.is_due(1_000_000)


def test_policy_that_was_only_lucky_keeps_its_smaller_mean():
    selection = Selection(100, 475.0)
    take(selection, 480.0, 1)
    take(selection, 440.0, 1)
    assert not selection.is_reached
    assert selection.in_doubt is None
    assert selection.best is not None
    assert selection.best.score == 440.0


def test_second_mean_counts_less_its_standard_error():
    selection = Selection(100, 475.0)
    take(selection, 480.0, 1)
    take(selection, 475.6, 1)  # 1 / sqrt(2) = 0.71
    assert not selection.is_reached


def test_policy_that_reached_the_threshold_wins_over_a_luckier_one():
    selection = Selection(100, 475.0)
    take(selection, 474.9, 1)
    take(selection, 475.0, 2)
    take(selection, 490.0, 2)  # its standard error is 0.7
    assert selection.best is not None
    assert (selection.best.weights.version, selection.best.score) == (2, 475.0)


def test_without_threshold_nothing_is_ever_in_doubt():
    selection = Selection(100, None)
    take(selection, 500.0, 1)
    assert selection.in_doubt is None
    assert not selection.is_reached


def test_nothing_is_ever_due_without_evaluations():
    selection = Selection(None, None)
    assert [selection.is_due(steps) for steps in (0, 1, 10**9)] == [False, False, False]


def test_stand_in_is_chosen_only_while_there_is_no_best_policy():
    selection, newest = Selection(100, None), Weights(7, np.zeros(2, np.float32))
    assert selection.chosen is None
    selection.give_up(newest)
    assert selection.chosen is newest
    take(selection, 5.0, 1)
    assert selection.chosen is selection.best.weights


def test_policy_in_doubt_is_the_best_if_it_can_not_be_confirmed_any_more():
    selection = Selection(100, 475.0)
    take(selection, 480.0, 1)
    selection.give_up(Weights(7, np.zeros(2, np.float32)))
    assert (selection.chosen.version, selection.best.score, selection.is_reached) == (1, 480.0, False)


def test_better_policy_is_not_replaced_by_one_in_doubt():
    selection = Selection(100, 475.0)
    take(selection, 470.0, 1)
    take(selection, 480.0, 2)
    selection.give_up(None)
    assert selection.chosen.version == 1


def test_best_policy_of_a_checkpoint_counts_only_in_a_run_with_evaluations():
    selection = Selection(100, None)
    take(selection, 5.0, 1)
    restored = {}
    for every in (100, None):
        restored[every] = Selection(every, None)
        restored[every].restore(selection.state())
    assert restored[100].chosen.version == 1
    assert restored[None].chosen is None


def test_evaluation_with_episodes_that_were_cut_off_never_reaches_the_threshold():
    selection = Selection(100, -110.0)
    cut, whole = Evaluation(np.array([-50.0, -50.0]), 1, unfinished=1), Evaluation(np.array([-50.0, -50.0]), 1)
    weights = Weights(1, np.zeros(2, np.float32))
    selection.evaluated(cut, weights)
    assert (selection.in_doubt, selection.best.score) == (None, -50.0)
    selection.evaluated(whole, weights)
    assert selection.in_doubt is not None
    selection.evaluated(cut, weights)
    assert not selection.is_reached
