"""The settings of servers under test: Multichat's own, with the overrides of TEST_SETTINGS (JSON)."""

import json
import os

from multichat.settings import *  # noqa: F403
from multichat.settings import CHANNEL_LAYERS

_overrides = json.loads(os.environ.get("TEST_SETTINGS", "{}"))
# FAULTS, such as {"drop": 0.3}, adds these faults to the channel layer that the environment names.
if _faults := _overrides.pop("FAULTS", None):
    _layer = CHANNEL_LAYERS["default"]
    _layer["BACKEND"] = (
        "chat.testing.FaultyRedisChannelLayer" if "redis" in _layer["BACKEND"] else "chat.testing.FaultyChannelLayer"
    )
    _layer["CONFIG"] = {**_layer.get("CONFIG", {}), **_faults}

PASSWORD_HASHERS = ["tests.hashers.FastArgon2"]
globals().update(_overrides)
