"""Folding of repeated lines of actors."""

from __future__ import annotations

from tests.integration.test_output import lines


def test_repeated_lines_are_folded_into_one_line_and_a_count(tmp_path):
    out, err = lines(
        """
art.init(cpus=1)
speakers = Speaker.options(isolation="process").spawn_many(3).result(10)
for _ in range(10):
    speakers.say("the same again").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert len(out) == 1
    assert out[0].endswith(") the same again")
    assert len(err) == 1
    assert "the same again [repeated 29x in " in err[0]
