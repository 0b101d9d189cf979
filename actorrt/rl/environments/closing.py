"""Closes environments that are dropped. An environment that can't be closed fails nothing: its error is logged once."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)
_told: set[str] = set()  # the names of environments whose error was logged in this process


def close(environment: Any) -> None:
    """Close an environment that is not used any more; if that raises, say so once for all environments of its name."""
    try:
        environment.close()
    except Exception as error:  # of the user's environment
        name = _name(environment)
        if name not in _told:
            _told.add(name)
            logger.warning(
                "environment %s can't be closed, so what it holds may stay until its process ends: %s: %s. "
                "Further errors of its close() are not logged",
                name,
                type(error).__name__,
                error,
            )


def _name(environment: Any) -> str:
    """Return the Gymnasium id of an environment, or the name of its class."""
    env_id = getattr(getattr(environment, "spec", None), "id", None)
    return str(env_id or type(getattr(environment, "unwrapped", environment)).__name__)
