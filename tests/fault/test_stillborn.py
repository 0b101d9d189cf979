"""Processes that die before their actor has started."""

from __future__ import annotations

import os

import pytest

import actorrt as art


async def test_process_that_dies_while_it_starts_is_a_start_error_with_the_reason(node_runtime):
    class Stillborn(art.Actor):
        def __init__(self):
            print("not today", flush=True)
            os._exit(9)

    with pytest.raises(art.ActorStartError) as caught:
        await Stillborn.options(isolation="process").spawn()
    assert caught.value.reason.exit_status == 9
    assert "not today" in str(caught.value)
