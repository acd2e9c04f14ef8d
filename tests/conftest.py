"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# whose machine this is must not matter
for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "SDK_TIMEOUT", "TIMEOUT"):
    os.environ.pop(name, None)

# how long an example takes says more about the machine than about the code
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
