from __future__ import annotations

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from elt_env.errors import IntegrityError
from elt_env.python.wheel_metadata import WheelMetadata, read_wheel_metadata
from elt_env.spec.markers import bound_on
from tests.support.wheels import make_sdist, make_wheel


def _wheel(directory: Path, *requires: str) -> WheelMetadata:
    return read_wheel_metadata(make_wheel(directory, "Dbt.Common", "1.30", requires=requires))


def test_name_and_version_are_normalized(tmp_path: Path) -> None:
    metadata = _wheel(tmp_path)
    assert (metadata.name, metadata.version, metadata.requires) == ("dbt-common", "1.30", ())


@pytest.mark.parametrize(
    ("requires", "bound"),
    [
        ([], ""),
        (["other<3"], ""),
        (["python-dateutil"], ""),
        (["Python_DateUtil<3,>=2.0"], ">=2.0,<3"),
        (["python-dateutil>=2", "python.dateutil<3"], ">=2,<3"),
        (["python-dateutil<3; python_version >= '3.11'"], "<3"),
        (["python-dateutil<3; python_version < '3.11'", "python-dateutil<4"], "<4"),
        (["python-dateutil<3; python_full_version >= '3.11.7'"], "<3"),
        (["python-dateutil<3; extra == 'test'"], ""),
        (["python-dateutil[fast]<3"], "<3"),
    ],
)
def test_the_bound_on_a_distribution_is_what_applies_to_it(
    tmp_path: Path, requires: list[str], bound: str
) -> None:
    found = bound_on("python-dateutil", _wheel(tmp_path, *requires).requires, "3.11.7")
    assert found == SpecifierSet(bound)


def test_what_is_no_wheel_is_an_integrity_error(tmp_path: Path) -> None:
    broken = tmp_path / "alpha-1.0-py3-none-any.whl"
    broken.write_bytes(b"not a zip")
    with pytest.raises(IntegrityError, match=r"alpha-1\.0-py3-none-any\.whl"):
        read_wheel_metadata(broken)
    with pytest.raises(IntegrityError, match=r"alpha-1\.0\.tar\.gz"):
        read_wheel_metadata(make_sdist(tmp_path, "alpha", "1.0"))


def test_a_requirement_that_cannot_be_read_is_an_integrity_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"dbt_common-1\.30"):
        _wheel(tmp_path, "pytz (>dev)")
