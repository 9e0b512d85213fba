"""Conda and pip, until both can live with the same versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import (
    DisagreementError,
    IndexUnreachableError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
)
from elt_env.lock.make import Locked
from elt_env.lockfile.document import Bound, HeldBack
from tests.support.locking import Scene, versions_of
from tests.support.wheels import make_sdist


def _bounds(locked: Locked) -> dict[str, Bound]:
    return {each.name: each for each in locked.lock.negotiated}


def _resolves(scene: Scene) -> int:
    return sum(line.startswith("pip: resolving") for line in scene.said)


def test_where_both_agree_at_once_nothing_is_negotiated(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=2"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil>=2"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked) == {"pandas": "2.0", "dateutil": "4.0", "dbt": "1.0"}
    assert (locked.lock.negotiated, locked.lock.held_back) == ((), ())
    assert _resolves(scene) == 1
    # By the resolve, and by the look for what is newest.
    assert scene.index.requests["/simple/dbt/"] <= 3


def test_conda_yields_what_pip_cannot_live_with(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "3.0", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=2"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<4,>=2"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked) == {"pandas": "2.0", "dateutil": "3.0", "dbt": "1.0"}
    bound = _bounds(locked)["dateutil"]
    assert (bound.refused, bound.required_by) == ("4.0", ("dbt 1.0",))
    assert ">=2" in bound.version
    assert "conda's dateutil 4.0 does not suit dbt 1.0" in scene.told
    assert locked.lock.package("conda", "dateutil").required_by == ("dbt", "pandas")
    assert locked.lock.held_back == ()


def test_the_need_can_stand_deep_in_pips_tree(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    scene.offer_pip("dbt", "1.0", requires=["agate>=1"])
    scene.offer_pip("agate", "1.7", requires=["parsing"])
    scene.offer_pip("parsing", "0.3", requires=["dateutil<3"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked)["dateutil"] == "2.9"
    assert _bounds(locked)["dateutil"].required_by == ("parsing 0.3",)


def test_what_stands_in_the_way_can_need_what_conda_moves_with_it(scene: Scene) -> None:
    # Only the older pandas takes the older dateutil.
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "1.0", depends=["python", "dateutil <3"])
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=3"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked) == {"pandas": "1.0", "dateutil": "2.9", "dbt": "1.0"}


def test_two_culprits_at_once(scene: Scene) -> None:
    for name in ("arrow", "babel"):
        scene.offer_both(name, "1.0", "2.0")
    scene.offer_both("click", "8.0", "8.1")
    scene.offer_conda("pandas", "2.0", depends=["python", "arrow", "babel", "click"])
    scene.offer_pip("dbt", "1.0", requires=["arrow<2", "click"])
    scene.offer_pip("meltano", "3.0", requires=["babel<2", "arrow"])
    locked = scene.lock(conda=["pandas"], pip=["dbt", "meltano"])
    assert versions_of(locked)["arrow"] == "1.0"
    assert versions_of(locked)["babel"] == "1.0"
    assert versions_of(locked)["click"] == "8.1"
    needs = {name: each.required_by for name, each in _bounds(locked).items()}
    assert needs == {"arrow": ("dbt 1.0",), "babel": ("meltano 3.0",)}
    assert _resolves(scene) == 1


def test_a_second_round_joins_the_bounds(scene: Scene) -> None:
    # The older dateutil of the first round brings a conda pytz that pip cannot live with.
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_both("pytz", "1.0", "2.0")
    scene.offer_conda("pandas", "1.0", depends=["python", "dateutil <3", "pytz"])
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=3"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3", "pytz<2"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked)["pytz"] == "1.0"
    assert set(_bounds(locked)) == {"dateutil", "pytz"}


def test_conda_yields_so_that_a_tool_is_not_held_back(scene: Scene) -> None:
    # Pip has an answer beside conda's newest: an old tool. It is not what a person wants.
    scene.offer_both("protobuf", "5.28", "6.0")
    scene.offer_conda("grpc", "1.0", depends=["python", "protobuf"])
    scene.offer_pip("dbt", "1.5", requires=["protobuf"])
    scene.offer_pip("dbt", "1.11", requires=["protobuf<6"])
    locked = scene.lock(conda=["grpc"], pip=["dbt"])
    assert versions_of(locked) == {"grpc": "1.0", "protobuf": "5.28", "dbt": "1.11"}
    assert _bounds(locked)["protobuf"].required_by == ("dbt 1.11",)
    assert locked.lock.held_back == ()


def test_what_a_person_pinned_for_conda_is_never_moved(scene: Scene) -> None:
    scene.offer_both("protobuf", "5.28", "6.0")
    scene.offer_pip("dbt", "1.5", requires=["protobuf"])
    scene.offer_pip("dbt", "1.11", requires=["protobuf<6"])
    locked = scene.lock(conda=["protobuf=6"], pip=["dbt"])
    assert versions_of(locked) == {"protobuf": "6.0", "dbt": "1.5"}
    assert locked.lock.negotiated == ()
    assert locked.lock.held_back == (HeldBack("dbt", "1.5", "1.11"),)
    assert "WARNING: dbt 1.5 is locked; 1.11 is not possible with all else" in scene.told
    assert "as new as it is: dbt 1.11 needs protobuf <6, which is 6.0" in scene.told


def test_one_tool_that_must_be_held_back_holds_no_other_back(scene: Scene) -> None:
    scene.offer_both("protobuf", "5.28", "6.0")
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_pip("dbt", "1.5", requires=["protobuf"])
    scene.offer_pip("dbt", "1.11", requires=["protobuf<6"])
    scene.offer_pip("meltano", "2.0", requires=["dateutil"])
    scene.offer_pip("meltano", "3.0", requires=["dateutil<3"])
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    locked = scene.lock(conda=["protobuf=6", "pandas"], pip=["dbt", "meltano"])
    assert versions_of(locked)["dbt"] == "1.5"
    assert versions_of(locked)["meltano"] == "3.0"
    assert versions_of(locked)["dateutil"] == "2.9"
    assert locked.lock.held_back == (HeldBack("dbt", "1.5", "1.11"),)


def test_what_conda_owns_is_owned_by_it_though_pip_was_asked(scene: Scene) -> None:
    scene.offer_conda("numpy", "1.26")
    scene.offer_pip("numpy", "1.26", "2.0")
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "numpy", "dateutil"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil"])
    scene.offer_pip("dbt", "1.1", requires=["dateutil<3"])
    locked = scene.lock(conda=["pandas"], pip=["numpy", "dbt"])
    assert [each.name for each in locked.lock.pip] == ["dbt"]
    numpy = locked.lock.package("conda", "numpy")
    assert (numpy.version, numpy.requested) == ("1.26", True)
    # That pip's newer numpy is not to be had is no reason to hold back the rest.
    assert versions_of(locked)["dbt"] == "1.1"
    assert locked.lock.held_back == (HeldBack("numpy", "1.26", "2.0"),)


def test_a_distribution_by_another_name_than_its_package(scene: Scene) -> None:
    scene.offer_conda("python-dateutil", "2.9", "4.0", package="pydateutil")
    scene.offer_pip("python-dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "pydateutil"])
    scene.offer_pip("dbt", "1.0", requires=["Python_Dateutil<3"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked) == {"pandas": "2.0", "pydateutil": "2.9", "dbt": "1.0"}
    assert _bounds(locked)["pydateutil"].required_by == ("dbt 1.0",)
    assert locked.lock.package("conda", "pydateutil").required_by == ("dbt", "pandas")
    assert locked.lock.distributions["python-dateutil"] == "2.9"


def test_an_sdist_can_be_what_needs_another_version(scene: Scene, tmp_path: Path) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    scene.index.add(make_sdist(tmp_path, "dbt", "1.0", requires=["dateutil<3"]))
    locked = scene.lock(conda=["pandas"], pip=["dbt"], policy={"allow-sdist": ["dbt"]})
    assert versions_of(locked)["dateutil"] == "2.9"
    assert _bounds(locked)["dateutil"].required_by == ("dbt 1.0",)


def test_an_old_release_that_needs_what_is_gone_does_not_mislead(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    scene.offer_pip("dbt", "0.9", requires=["gone"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert versions_of(locked) == {"pandas": "2.0", "dateutil": "2.9", "dbt": "1.0"}


def test_a_private_index_is_read_with_its_credentials(scene: Scene) -> None:
    # The metadata of who needs the bound are read from the file itself.
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])
    scene.index.fault = "refuse-auth"
    scene.index_url = scene.index.url_with_credentials
    locked = scene.lock(conda=["pandas"], pip=["dbt"])
    assert _bounds(locked)["dateutil"].required_by == ("dbt 1.0",)


def test_no_agreement_names_both_sides(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil >=4"])
    scene.offer_pip("dbt", "1.0", requires=["agate"])
    scene.offer_pip("agate", "1.7", requires=["dateutil<3"])
    with pytest.raises(DisagreementError, match="cannot agree on dateutil") as caught:
        scene.lock(conda=["pandas"], pip=["dbt"])
    assert "  conda: pandas\n  pip: dbt\n" in caught.value.problem
    assert "agate needs dateutil <3" in caught.value.problem
    assert "conda's pandas 2.0 needs dateutil >=4" in caught.value.problem
    assert "Leave out 'conda: pandas' or 'pip: dbt'" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_no_agreement_with_a_person(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])
    with pytest.raises(DisagreementError, match=r"conda: dateutil =4\n") as caught:
        scene.lock(conda=["dateutil=4"], pip=["dbt"])
    assert "dbt needs dateutil <3" in caught.value.problem
    assert "conda has dateutil 4.0" in caught.value.problem


def test_no_agreement_with_the_pip_section_itself(scene: Scene) -> None:
    scene.offer_conda("numpy", "2.0")
    scene.offer_pip("numpy", "1.26", "2.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "numpy"])
    with pytest.raises(DisagreementError, match="conda: pandas\n  pip: numpy<2\n") as caught:
        scene.lock(conda=["pandas"], pip=["numpy<2"])
    assert "conda has numpy 2.0 only" in caught.value.problem
    assert "Loosen 'pip: numpy<2'" in caught.value.remedy


def test_a_conflict_of_pip_alone_is_not_blamed_on_conda(scene: Scene) -> None:
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_conda("pandas", "2.0", depends=["python", "dateutil"])
    scene.offer_pip("dbt", "1.0", requires=["click<8"])
    scene.offer_pip("meltano", "3.0", requires=["click>=8"])
    scene.offer_pip("click", "7.0", "8.0")
    scene.offer_pip("dotenv", "1.0")
    with pytest.raises(PipConflictError, match="pip: dbt\n  pip: meltano\n") as caught:
        scene.lock(conda=["pandas"], pip=["dbt", "meltano", "dotenv"])
    assert "meltano needs click >=8" in caught.value.problem
    assert "negotiation" not in scene.told
    assert caught.value.exit_code == 3


def test_what_the_index_does_not_have_is_said_at_once(scene: Scene, tmp_path: Path) -> None:
    scene.offer_conda("lib", "1.0")
    scene.index.add(make_sdist(tmp_path, "source", "1.0"))
    with pytest.raises(PackageNotFoundError, match="'nope'"):
        scene.lock(conda=["lib"], pip=["nope"])
    with pytest.raises(NoWheelError, match=r"1\.0 has no wheel"):
        scene.lock(conda=["lib"], pip=["source"])
    scene.index.fault = "html-nonsense"
    with pytest.raises(IndexUnreachableError, match="no package index"):
        scene.lock(conda=["lib"], pip=["source"])
