"""The form of a value inside an object of the store, and the codec of messages.

`dumps` and `loads` serve messages; their work is in `pickling`.
"""

from __future__ import annotations

from actorrt.store.carrier import Carrier, carrying, current_carrier
from actorrt.store.pickling import dumps, loads

__all__ = ["Carrier", "carrying", "current_carrier", "dumps", "loads"]
