"""A row whose package is missing names the package and the extra that installs it."""

from __future__ import annotations

import pytest

from actorrt.bench.measuring.measurement import UnavailableError
from actorrt.bench.rows.training import require


def test_package_that_is_missing_is_named_with_the_extras_that_bring_it() -> None:
    with pytest.raises(UnavailableError, match=r"^needs absent_package: pip install 'actorrt\[rl,absent\]'$"):
        require("json", "absent_package", extras="rl,absent")
