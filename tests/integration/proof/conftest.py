from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.sample import Sample


@pytest.fixture
def toolbox(sample: Sample, tmp_path: Path) -> Tools:
    return sample.toolbox(tmp_path)


@pytest.fixture
def prefix(sample: Sample, sample_lock: Lock, toolbox: Tools, tmp_path: Path) -> Prefix:
    """A built prefix of the sample's lock, which tests may plant faults in."""
    del toolbox
    return Prefix(sample.build(tmp_path, sample_lock).path, sample_lock)
