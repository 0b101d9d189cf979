"""Repeats of output are folded, and nothing is lost."""

from actorrt.node.driver.folding import Folder


def test_first_line_is_shown_at_once():
    assert Folder().add("Counter pid=1234", "stdout", "hello", 0.0) == ["(Counter pid=1234) hello"]


def test_exact_repeat_is_folded_and_told_when_the_window_ends():
    folder = Folder()
    shown = [folder.add("Counter pid=1", "stdout", "hello", now) for now in (0.0, 1.0, 2.0)]
    assert shown == [["(Counter pid=1) hello"], [], []]
    assert folder.flush(4.999) == []
    assert folder.flush(5.0) == ["(Counter pid=1) hello [repeated 2x in 5 s]"]
    assert folder.flush(100.0) == []


def test_same_line_of_labels_that_differ_in_digits_is_shown_once():
    folder = Folder()
    shown = [folder.add(f"Sim pid={pid}", "stderr", "no GPU found", 0.0) for pid in range(8)]
    assert shown == [["(Sim pid=0) no GPU found"], *([[]] * 7)]
    assert folder.flush(5.0) == ["(Sim pid=7) no GPU found [repeated 7x in 5 s]"]


def test_one_label_that_counts_is_heard():
    folder = Folder()
    shown = [folder.add("Learner pid=1", "stdout", f"step {step}", 0.0) for step in range(3)]
    assert shown == [["(Learner pid=1) step 0"], ["(Learner pid=1) step 1"], ["(Learner pid=1) step 2"]]
    assert folder.flush(5.0) == []


def test_a_single_folded_line_is_shown_whole_when_the_window_ends():
    folder = Folder()
    folder.add("Sim pid=1", "stdout", "return 475.0", 0.0)
    assert folder.add("Sim pid=2", "stdout", "return 20.5", 1.0) == []
    assert folder.flush(5.0) == ["(Sim pid=2) return 20.5"]


def test_labels_that_differ_in_letters_are_not_alike():
    folder = Folder()
    folder.add("Sim pid=1", "stdout", "ready", 0.0)
    assert folder.add("Learner pid=1", "stdout", "ready", 0.0) == ["(Learner pid=1) ready"]


def test_streams_are_not_alike():
    folder = Folder()
    folder.add("Sim pid=1", "stdout", "ready", 0.0)
    assert folder.add("Sim pid=1", "stderr", "ready", 0.0) == ["(Sim pid=1) ready"]


def test_line_after_the_window_is_shown_again_behind_the_count():
    folder = Folder()
    for now in (0.0, 1.0, 2.0):
        folder.add("A", "stdout", "x", now)
    assert folder.add("A", "stdout", "x", 6.0) == ["(A) x [repeated 2x in 5 s]", "(A) x"]


def test_due_at_is_the_end_of_the_oldest_window():
    folder = Folder(window_s=2.0)
    assert folder.due_at is None
    folder.add("A", "stdout", "x", 1.0)
    folder.add("A", "stdout", "y", 2.0)
    assert folder.due_at == 3.0
    folder.flush(3.0)
    assert folder.due_at == 4.0


def test_beyond_max_keys_the_oldest_window_ends_early_and_tells_its_count():
    folder = Folder(max_keys=2)
    for _ in range(3):
        folder.add("A", "stdout", "x", 0.0)
    folder.add("A", "stdout", "y", 1.0)
    assert folder.add("A", "stdout", "z", 2.0) == ["(A) x [repeated 2x in 2 s]", "(A) z"]


def test_close_tells_every_count():
    folder = Folder()
    for text in ("x", "x", "x", "y", "y"):
        folder.add("A", "stdout", text, 0.0)
    assert folder.close(1.0) == ["(A) x [repeated 2x in 1 s]", "(A) y"]
    assert folder.due_at is None
