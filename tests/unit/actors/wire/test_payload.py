"""Values in and out of messages, in each of the forms that they travel in."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actorrt import errors
from actorrt.actors.wire.by_reference import StoredBody, StoredValue
from actorrt.actors.wire.failures import error_to_data
from actorrt.actors.wire.payload import Captured, Payloads, ReplySentError, has_objects, objects_at_hand, objects_opened
from actorrt.actors.wire.plain_values import Constants
from actorrt.config import STORE_THRESHOLD_BYTES
from actorrt.store.client.client import StoreClient
from actorrt.store.client.ref import ObjectRef

LARGE = STORE_THRESHOLD_BYTES + 1
NO_STORE = Payloads(None, None)


class Unsendable:
    """Says when it is pickled that it is a reply."""

    def __reduce__(self) -> Any:
        raise ReplySentError("await it first")


@pytest.fixture
def here(sender: StoreClient) -> Payloads:
    return Payloads(sender, None)


@pytest.fixture
def there(receiver: StoreClient) -> Payloads:
    return Payloads(receiver, None)


@pytest.fixture
def objects_count(sender: StoreClient, receiver: StoreClient) -> Callable[[], int]:
    """Return how many objects the store has, when it has heard of all that its clients have dropped."""

    def count() -> int:
        gc.collect()
        return [client.stats()["objects_count"] for client in (sender, receiver)][-1]

    return count


# Without a store


def test_scalars_ride_as_they_are() -> None:
    args = (1, "two", 3.0, None, b"four", True)
    assert NO_STORE.capture_call(args, {}) == Captured(args)
    assert NO_STORE.open_call(list(args), ()) == (args, {})
    assert NO_STORE.capture_value(5) == Captured((5,))
    assert NO_STORE.open_value([5], ()) == 5


def test_other_values_are_copied_with_their_buffers_beside_them() -> None:
    array = np.arange(4_096)
    body, buffers, transit = NO_STORE.capture_call((array,), {"of": [1]})
    array[0] = 77
    assert (type(body), [len(buffer) for buffer in buffers], transit) == (bytes, [array.nbytes], None)
    (opened,), named = NO_STORE.open_call(body, buffers)
    assert (opened.tolist(), named) == (list(range(4_096)), {"of": [1]})


def test_arguments_that_can_not_change_stay_as_they_are_where_the_actor_is_here() -> None:
    text = "x" * 2_000
    (body, buffers, transit) = NO_STORE.capture_call((text,), {"name": (1, text)}, is_here=True)
    assert (type(body), buffers, transit) == (Constants, (), None)
    (opened,), named = NO_STORE.open_call(body, ())
    assert opened is text
    assert named["name"][1] is text
    assert type(NO_STORE.capture_call(([],), {}, is_here=True).body) is bytes


def test_reply_among_the_arguments_is_a_type_error_with_its_own_words() -> None:
    with pytest.raises(TypeError, match="await it first"):
        NO_STORE.capture_call(([Unsendable()],), {})


def test_argument_that_can_not_be_pickled_is_named_by_its_path() -> None:
    with pytest.raises(errors.SerializationError, match=r"args\[0\]\['k'\]"):
        NO_STORE.capture_call(({"k": (i for i in ())},), {})
    with pytest.raises(errors.SerializationError, match="result"):
        NO_STORE.capture_value(i for i in ())


def test_copy_shares_what_can_not_change_and_nothing_else() -> None:
    text, array = "x" * 2_000, np.zeros(3)
    assert NO_STORE.copy(text) is text
    copied = NO_STORE.copy([array])
    array[0] = 1
    assert copied[0].tolist() == [0, 0, 0]


def test_stored_body_in_a_process_without_a_store_is_an_object_lost() -> None:
    with pytest.raises(errors.ObjectLostError, match="an object store that this process does not have"):
        NO_STORE.stored({"object": b"o" * 16, "token": b"t"}, ())


def test_error_comes_as_its_own_type_with_its_remote_traceback() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        data = error_to_data(error, "noted.note()")
    opened = NO_STORE.open_error(data, "yes")
    assert (type(opened), opened.args, opened.__dict__["executed"]) == (KeyError, ("k",), "yes")
    assert opened.__notes__[0].startswith("Remote traceback of noted.note():")


def test_message_that_nobody_opens_and_nobody_can_is_dropped() -> None:
    for body in ([1], (2,), b"no pickle", {"object": b"o" * 16, "token": b"t"}):
        NO_STORE.release(body, ())


# By the store


def test_large_values_go_by_the_store_and_stay_there_until_they_have_arrived(
    here: Payloads, there: Payloads, objects_count: Callable[[], int]
) -> None:
    value = ["x" * LARGE]
    body, buffers, transit = here.capture_value(value)
    assert (sorted(body), buffers) == (["object", "token"], ())  # type: ignore[arg-type]
    assert objects_count() == 1
    stored = there.stored(body, ())
    assert isinstance(stored, ObjectRef)
    transit.call_ended()  # type: ignore[union-attr]
    assert (stored.get(), objects_count()) == (value, 1)
    del stored
    assert objects_count() == 0


def test_message_that_nobody_opens_leaves_nothing_in_the_store(
    here: Payloads, there: Payloads, objects_count: Callable[[], int]
) -> None:
    body, buffers, transit = here.capture_value("x" * LARGE)
    there.release(body, buffers)
    transit.call_ended()  # type: ignore[union-attr]
    assert objects_count() == 0


def test_refs_beside_scalars_need_no_pickle(
    here: Payloads, there: Payloads, sender: StoreClient, objects_count: Callable[[], int]
) -> None:
    ref = sender.put("value")
    body, buffers, transit = here.capture_call((1, ref), {}, is_ask=True)
    assert (body["args"], buffers) == ([1, ref.id], ())  # type: ignore[call-overload]
    assert there.stored(body, ()) is None
    (number, arrived), named = there.open_call(body, ())
    assert (number, arrived.get(), named) == (1, "value", {})
    assert (has_objects((1, arrived), {}), has_objects((1,), {})) == (True, False)
    transit.call_ended()  # type: ignore[union-attr]
    del ref, arrived, transit
    assert objects_count() == 0


def test_equal_tells_have_transits_of_their_own(
    here: Payloads, there: Payloads, objects_count: Callable[[], int]
) -> None:
    captured = here.capture_tells(("x" * LARGE,), {}, 3)
    tokens = [body["token"] for body, _, _ in captured]  # type: ignore[call-overload]
    assert len({*tokens}) == 3
    assert len({body["object"] for body, _, _ in captured}) == 1  # type: ignore[call-overload]
    for body, _, transit in captured:
        there.release(body, ())
        transit.held = ()  # type: ignore[union-attr]
    del captured, transit
    assert objects_count() == 0


def test_equal_tells_of_scalars_share_one_capture(here: Payloads) -> None:
    assert here.capture_tells((1,), {}, 2) == [Captured((1,)), Captured((1,))]


async def test_arguments_with_objects_are_opened_where_the_objects_are(sender: StoreClient) -> None:
    ref = sender.put("value")
    assert await objects_opened((1, ref), {"name": ref}) == ((1, "value"), {"name": "value"})
    assert objects_at_hand((1, ref), {"name": ref}) == ((1, "value"), {"name": "value"})


# By reference


def test_array_of_the_store_travels_as_its_place_and_arrives_as_a_view(
    here: Payloads, there: Payloads, sender: StoreClient, objects_count: Callable[[], int]
) -> None:
    array = sender.put(np.arange(LARGE)).get()
    part = array[8:]
    captured = here.capture_value({"part": part})
    body, frames, transit = captured
    assert isinstance(body, StoredBody)
    assert ([len(place) for place in body["parts"]], len(body["objects"])) == ([3], 1)
    assert objects_count() == 1  # no copy
    received = there.stored(dict(body), frames)
    assert isinstance(received, StoredValue)
    opened = received.get()["part"]
    assert (opened[0], len(opened), opened.flags.writeable) == (8, LARGE - 8, False)
    transit.call_ended()  # type: ignore[union-attr]
    del array, part, captured, body, received, transit
    assert objects_count() == 1  # the view keeps it
    del opened
    assert objects_count() == 0


def test_array_of_the_store_comes_back_in_its_own_process_as_the_same_memory(
    here: Payloads, sender: StoreClient
) -> None:
    array = sender.put(np.arange(LARGE)).get()
    copied = here.copy([array])[0]
    assert np.shares_memory(array, copied)


async def test_value_by_reference_can_be_awaited(here: Payloads, there: Payloads, sender: StoreClient) -> None:
    array = sender.put(np.arange(LARGE)).get()
    body, frames, _ = here.capture_value([array, "beside"])
    received = there.stored(dict(body), frames)  # type: ignore[call-overload]
    opened, beside = await received
    assert (opened[-1], beside) == (LARGE - 1, "beside")


def test_same_value_for_several_receivers_has_a_token_for_each(here: Payloads, sender: StoreClient) -> None:
    array = sender.put(np.arange(LARGE)).get()
    one, two = here.capture_tells((array,), {}, 2)
    assert isinstance(one.body, StoredBody)
    assert isinstance(two.body, StoredBody)
    assert one.body["parts"] == two.body["parts"]
    ((first, token),), ((second, other_token),) = one.body["objects"], two.body["objects"]
    assert (first == second, token == other_token) == (True, False)
    assert two.body.views is one.body.views


def test_value_with_much_beside_the_store_goes_into_the_store_whole(here: Payloads, sender: StoreClient) -> None:
    array = sender.put(np.arange(LARGE)).get()
    body = here.capture_value([array, "x" * LARGE]).body
    assert sorted(body) == ["object", "token"]  # type: ignore[arg-type]
