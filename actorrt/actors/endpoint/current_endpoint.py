"""The endpoint that serves the calling code, with all its members; refs know a part of them only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from actorrt.actors.refs import current

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint

current_endpoint: Final = cast("Callable[[], ActorEndpoint]", current.endpoint)
"""As `actorrt.actors.refs.current.endpoint`."""
