"""Pure: the options of a runtime, which are checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Final, NamedTuple

ADDRESS: Final = "ACTORRT_ADDRESS"
TOKEN: Final = "ACTORRT_TOKEN"
_TOKEN: Final = re.compile(r"\s*art\d+\.", re.IGNORECASE)
_SIZE_HINT: Final = "a number of bytes, such as 2 * 1024**3"
_LEAST: Final = {"cpus": (1, "a whole number of at least 1"), "gpus": (0, "a whole number of at least 0")}


class RuntimeOptions(NamedTuple):
    """The options of `init`, `run` and `Runtime`; see the docstrings there.

    A token in place of an address is in `token`, and `address` is None then.
    """

    address: str | None
    token: str | None
    mode: str
    cpus: int | None
    gpus: int | None
    store_bytes: int | None
    namespace: str


def is_token(text: str) -> bool:
    """Return whether a text is a join token, of any version, and not an address."""
    return _TOKEN.match(text) is not None


def checked(
    address: Any = None,
    mode: Any = "node",
    cpus: Any = None,
    gpus: Any = None,
    store_bytes: Any = None,
    namespace: Any = "default",
    token: Any = None,
    environ: Mapping[str, str] | None = None,
) -> RuntimeOptions:
    """Return the options, checked and normalised.

    Args:
        address, mode, cpus, gpus, store_bytes, namespace, token: as of `init`.
        environ: the environment, which gives address and token if neither they nor resources are given.

    Raises:
        TypeError: a value has a wrong type.
        ValueError: a value is out of range, or options contradict each other.
    """
    if mode not in ("node", "local"):
        raise ValueError(f"mode={mode!r}: give 'node' or 'local'")
    if mode == "node" and all(value is None for value in (address, token, cpus, gpus, store_bytes)):
        address, token = ((environ or {}).get(name) or None for name in (ADDRESS, TOKEN))
    for name, value in (("address", address), ("namespace", namespace), ("token", token)):
        if not isinstance(value, str) and not (value is None and name != "namespace"):
            raise TypeError(f"{name}={value!r}: give a string")
        if value == "":
            raise ValueError(f"{name}='': give a string that is not empty, or leave it out")
    if mode == "local":
        address = token = None
    if token is not None and address is None:
        address, token = token, None
    if address is not None and token is None and is_token(address):
        address, token = None, address
    if token is not None and address is not None and not address.startswith("tcp://"):
        raise ValueError(
            f"token= is for a node of a cluster: give address='tcp://HOST:PORT' with it, not address={address!r}, or "
            "leave address out"
        )
    sizes = {name: _whole(name, value, *_LEAST[name]) for name, value in (("cpus", cpus), ("gpus", gpus))}
    sizes["store_bytes"] = _whole("store_bytes", store_bytes, 1, _SIZE_HINT)
    given = [name for name, value in sizes.items() if value is not None]
    if (address is not None or token is not None) and given:
        where = "a token" if address is None else f"address={address!r}"
        raise ValueError(
            f"{where} connects to a running node, whose resources are fixed: leave out {' and '.join(given)}"
        )
    return RuntimeOptions(address, token, mode, sizes["cpus"], sizes["gpus"], sizes["store_bytes"], namespace)


def _whole(name: str, value: Any, least: int, wanted: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}: give {wanted}, or leave it out")
    if int(value) < least:
        raise ValueError(f"{name}={value!r}: give {wanted}, or leave it out")
    return int(value)
