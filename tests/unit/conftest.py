"""How hypothesis looks for counterexamples, and disks that nobody waits for."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Without a clock, for other work slows a test down.
settings.register_profile(
    "unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no disk: nobody pulls the plug here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
