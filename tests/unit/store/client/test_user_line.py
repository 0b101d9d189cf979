"""The line of the user's code that made an object."""

from __future__ import annotations

from typing import Any

from actorrt.ids import ObjectId
from actorrt.store.client.user_line import user_line
from actorrt.store.connection.unreported import MAX_UNREPORTED_COUNT, UnreportedObjects
from actorrt.store.memory.pool import Place
from actorrt.store.wire.protocol import MAX_MESSAGE_BYTES, Op, pack


def test_lines_of_any_alphabet_fit_into_one_report_of_all_unreported_objects() -> None:
    namespace: dict[str, Any] = {}
    exec(
        compile("def where(user_line):\n    return user_line()\n", "/\N{GRINNING FACE}" * 200 + ".py", "exec"),
        namespace,
    )
    line = namespace["where"](user_line)
    assert line.endswith("\N{GRINNING FACE}.py:2")
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 1 << 30))
    for number in range(MAX_UNREPORTED_COUNT):
        assert unreported.create(ObjectId(number.to_bytes(16, "little")), 1 << 20, line) is not None
    report = unreported.report()
    assert report is not None
    assert len(pack((Op.REPORT, 0, *report))) <= MAX_MESSAGE_BYTES
