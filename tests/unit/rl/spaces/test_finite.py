"""NaN and infinity are found, and large numbers are not mistaken for them."""

from __future__ import annotations

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.spaces.finite import first_bad_row, is_finite, require_finite


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_is_found(dtype, bad):
    rows = np.zeros((3, 4), dtype)
    assert is_finite(rows)
    assert first_bad_row(rows) is None
    rows[1, 3] = bad
    assert not is_finite(rows)
    assert first_bad_row(rows) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_whose_squares_overflow_are_finite(dtype):
    assert is_finite(np.full(4, np.finfo(dtype).max, dtype))


def test_whole_numbers_are_finite():
    assert is_finite(np.full((2, 8, 8, 3), 255, np.uint8))


def test_error_has_the_count_of_bad_values_and_the_metrics():
    with pytest.raises(rl.DivergedError, match=r"the update to version 3: 2 of 5 .* NaN, value_loss nan, kl 0.25; try"):
        require_finite(
            np.array([0.0, np.nan, 1.0, np.inf, 2.0]), "the update to version 3", {"value_loss": np.nan, "kl": 0.25}
        )
