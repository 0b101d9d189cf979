"""The endpoint that serves the code which asks, with all that it can do: refs know a part of that only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from actorrt.actors.refs import current

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System

current_endpoint: Final = cast("Callable[[], System]", current.endpoint)
"""As `actorrt.actors.refs.current.endpoint`."""
