"""Which GPUs an actor gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actorrt.actors.policy.options import ActorOptions
from actorrt.ids import IdSource
from actorrt.node.placement.devices import Devices
from actorrt.node.placement.resources import Resources


def test_whole_devices_are_alone_and_fractions_share_the_fullest_one() -> None:
    devices = Devices(["a", "b", "c"])
    assert devices.grant("one", 0.5) == ["a"]
    assert devices.grant("two", 0.25) == ["a"]
    assert devices.grant("three", 1) == ["b"]
    assert devices.grant("four", 0.5) == ["c"]
    assert (devices.fits(0.5), devices.fits(0.75), devices.fits(1)) == (True, False, False)
    assert (devices.fits(1, "three"), devices.fits(2, "three"), devices.largest_part()) == (True, False, 0.5)
    devices.release("four")
    assert devices.grant("five", 1.25) == ["c", "a"]
    assert devices.granted("five") == ["c", "a"]
    devices.release("five")
    devices.release("five")
    assert devices.granted("five") == []
    devices.check_invariants()


def test_what_does_not_fit_and_is_granted_all_the_same_shares_the_least_used_devices() -> None:
    devices = Devices(["a", "b"])
    devices.grant("one", 1)
    assert devices.grant("two", 2) == ["b", "a"]
    assert devices.grant("three", 0.5) == ["b"]
    devices.check_invariants()


HOLDERS = st.sampled_from("abcd")
AMOUNTS = st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.5, 2.0])


@given(st.lists(st.tuples(HOLDERS, AMOUNTS | st.none())))
def test_devices_are_never_shared_beyond_themselves(steps: list[tuple[str, float | None]]) -> None:
    devices, amounts = Devices(["0", "1"]), dict[str, float]()
    for holder, amount in steps:
        if amount is None:
            devices.release(holder)
            amounts.pop(holder, None)
        elif devices.fits(amount, holder):
            granted = devices.grant(holder, amount)
            amounts[holder] = amount
            assert len(granted) == -(-amount // 1)
        devices.check_invariants()
        assert all(use <= 1.0 for use in devices._used.values())
    assert abs(sum(devices._used.values()) - sum(amounts.values())) < 1e-6


def test_reservations_give_devices_and_whole_ones_wait_while_the_free_parts_are_on_several() -> None:
    resources, ids = Resources(8, 2, gpu_ids=["GPU-a", "GPU-b"], may_exceed=False), IdSource()
    first, second, third = ids.actor(), ids.actor(), ids.actor()
    resources.reserve(first, "first", ActorOptions(gpus=0.75))
    resources.reserve(second, "second", ActorOptions(gpus=0.75))
    assert [resources.gpu_variables(one) for one in (first, second, third)] == [
        {"CUDA_VISIBLE_DEVICES": "GPU-a"},
        {"CUDA_VISIBLE_DEVICES": "GPU-b"},
        {},
    ]
    assert (resources.has_room(third, {"gpus": 0.5}), resources.has_room(third, {"gpus": 0.25})) == (False, True)
    guest = ids.peer()
    assert resources.reserve_for_guest(guest, "g", {"gpus": 0.5}) == "the free parts of gpus are on several devices"
    resources.release(first)
    assert resources.reserve_for_guest(guest, "g", {"gpus": 1}) == ""
    assert resources.gpu_variables(guest) == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
    assert resources.free() == {"cpus": 8, "gpus": 0.25}
    resources.release_for_guest(guest)
    resources.release(second)
    assert resources.free() == {"cpus": 8, "gpus": 2}
