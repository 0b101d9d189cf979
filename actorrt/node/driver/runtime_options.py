"""Pure: the options of a runtime, which are checked before anything starts."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Final, NamedTuple

_SIZE_HINT: Final = "a number of bytes, such as 2 * 1024**3"
_LEAST: Final = {"cpus": (1, "a whole number of at least 1"), "gpus": (0, "a whole number of at least 0")}


class RuntimeOptions(NamedTuple):
    """The options of `init`, `run` and `Runtime`; see the docstrings there."""

    address: str | None
    mode: str
    cpus: int | None
    gpus: int | None
    store_bytes: int | None
    namespace: str


def checked(
    address: Any = None,
    mode: Any = "node",
    cpus: Any = None,
    gpus: Any = None,
    store_bytes: Any = None,
    namespace: Any = "default",
) -> RuntimeOptions:
    """Return the options, checked and normalised.

    Raises:
        TypeError: a value has a wrong type.
        ValueError: a value is out of range, or options contradict each other.
    """
    if mode not in ("node", "local"):
        raise ValueError(f"mode={mode!r}: give 'node' or 'local'")
    for name, value in (("address", address), ("namespace", namespace)):
        if not isinstance(value, str) and not (value is None and name == "address"):
            raise TypeError(f"{name}={value!r}: give a string")
        if value == "":
            raise ValueError(f"{name}='': give a string that is not empty, or leave it out")
    if mode == "local":
        address = None
    sizes = {name: _whole(name, value, *_LEAST[name]) for name, value in (("cpus", cpus), ("gpus", gpus))}
    sizes["store_bytes"] = _whole("store_bytes", store_bytes, 1, _SIZE_HINT)
    given = [name for name, value in sizes.items() if value is not None]
    if address is not None and given:
        raise ValueError(
            f"address={address!r} connects to a running node, whose resources are fixed: leave out "
            f"{' and '.join(given)}"
        )
    return RuntimeOptions(address, mode, sizes["cpus"], sizes["gpus"], sizes["store_bytes"], namespace)


def _whole(name: str, value: Any, least: int, wanted: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}: give {wanted}, or leave it out")
    if int(value) < least:
        raise ValueError(f"{name}={value!r}: give {wanted}, or leave it out")
    return int(value)
