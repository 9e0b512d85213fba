from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.kept_files import UnfitError, kept_files

_SITE = "lib/python3.11/site-packages"
_PATHS = st.sampled_from([f"{_SITE}/{each}.py" for each in "abcde"] + ["bin/tool"])
_OWN = {"conda-meta/history", "CACHEDIR.TAG", "lib/python3.11/EXTERNALLY-MANAGED"}


def _record(name: str) -> str:
    return f"{_SITE}/{name}-1.0.dist-info/RECORD"


def _content(name: str, paths: set[str]) -> bytes:
    own = _record(name).removeprefix(f"{_SITE}/")
    rows = [path.removeprefix(f"{_SITE}/").replace("bin/", "../../../bin/") for path in paths]
    return "".join(f'"{row}",sha256=x,1\n' for row in [own, *sorted(rows)]).encode()


@given(
    st.dictionaries(st.sampled_from(["one", "two", "three"]), st.sets(_PATHS)),
    st.sets(_PATHS),
    st.sets(st.sampled_from(["one", "two", "three"])),
    st.sets(_PATHS),
)
def test_what_stays_is_what_no_package_that_is_gone_has(
    packages: dict[str, set[str]], conda: set[str], gone: set[str], strange: set[str]
) -> None:
    owned = {name: paths | {_record(name)} for name, paths in packages.items()}
    staying = conda.union(*(paths for name, paths in owned.items() if name not in gone))
    leaving = set[str]().union(*(paths for name, paths in owned.items() if name in gone))
    files = _with_bytecode(staying | leaving | strange) | _OWN
    records = {_record(name): _content(name, paths) for name, paths in packages.items()}
    records["conda-meta/python-3.11.json"] = json.dumps({"files": sorted(conda)}).encode()
    records[f"{_SITE}/setuptools/_vendor/one-1.0.dist-info/RECORD"] = b"x.py,,\n"
    stays = {name: name not in gone for name in packages}

    if staying & leaving or strange - staying - leaving:
        with pytest.raises(UnfitError, match="is of no package alone"):
            kept_files(files, records, _SITE, stays)
    else:
        assert kept_files(files, records, _SITE, stays) == _with_bytecode(staying) | _OWN


def _with_bytecode(paths: set[str]) -> set[str]:
    bytecode = {
        f"{_SITE}/__pycache__/{each[-4]}.cpython-311.pyc" for each in paths if each.endswith(".py")
    }
    return paths | bytecode


def test_a_package_without_a_record_is_unfit() -> None:
    with pytest.raises(UnfitError, match="RECORD"):
        kept_files(set(), {}, _SITE, {"one": True})
