"""What a spec names by URL: wheels, sdists and commits, locked by hash and built once."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from elt_env.errors import EltEnvError, IntegrityError, SpecError
from elt_env.lock.adopt import adopt
from elt_env.lock.make import Locked
from elt_env.lockfile import lock_json, pylock, requirements
from elt_env.lockfile.document import Package
from elt_env.lockfile.export import FORMATS
from elt_env.lockfile.foreign.read import open_lock_files
from elt_env.pip.repository import check_out
from elt_env.project.settings import open_project
from elt_env.tools import open_tools
from tests.support.locking import Scene
from tests.support.said import Said
from tests.support.sample import silent
from tests.support.sources import commit, make_backend, pack_source, write_source
from tests.support.wheels import make_wheel

ALLOW = {"allow-sdist": ["tool"]}
_SUFFIX = {"explicit": "lock", "conda-lock": "yml", "pylock": "toml", "requirements": "txt"}


@dataclass
class Origins:
    """A wheel, an sdist and a repository of the same project, and a scene that can build it."""

    scene: Scene
    repository: Path
    sdist: Path

    @property
    def commit(self) -> str:
        return commit(self.repository)

    @property
    def git(self) -> str:
        return f"tool @ git+{self.repository.as_uri()}@{self.commit}"

    @property
    def archive(self) -> str:
        return f"tool @ {self.sdist.as_uri()}#sha256={digest(self.sdist)}"


@pytest.fixture
def origins(scene: Scene) -> Origins:
    scene.index.add(make_backend(scene.root / "wheels"))
    scene.offer_pip("helper", "1.0", "2.0")
    scene.offer_pip("spare", "1.0")
    source = write_source(
        scene.root / "repository", "tool", "3.0", requires=["helper<2"], more=["spare"]
    )
    sdist = pack_source(source, scene.root / "served" / "tool-3.0.tar.gz")
    commit(source)
    return Origins(scene, source, sdist)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def locked(result: Locked, name: str = "tool") -> Package:
    return result.lock.package("pip", name)


def test_a_wheel_needs_no_allowance_and_takes_part(origins: Origins) -> None:
    scene = origins.scene
    wheel = make_wheel(scene.root / "served", "mine", "1.0", requires=["helper<2"])
    asked = f"mine @ {wheel.as_uri()}#sha256={digest(wheel)}"

    found = scene.lock(pip=[asked])

    mine = locked(found, "mine")
    assert (mine.version, mine.url, mine.sha256) == ("1.0", wheel.as_uri(), digest(wheel))
    assert mine.requested
    assert mine.index is None
    assert locked(found, "helper").version == "1.0"
    assert locked(found, "helper").required_by == ("mine",)
    assert found.lock.indexes == (scene.index.url,)
    assert scene.lock(pip=[asked]).kept


def test_a_wheel_with_another_hash_is_refused(scene: Scene) -> None:
    wheel = make_wheel(scene.root / "served", "mine", "1.0")
    with pytest.raises(IntegrityError, match="Hash mismatch of mine") as caught:
        scene.lock(pip=[f"{wheel.as_uri()} --hash=sha256:{'0' * 64}"])
    assert "correct the hash in the spec" in caught.value.remedy


def test_an_archive_that_leads_out_of_its_directory_is_refused(origins: Origins) -> None:
    with tarfile.open(origins.sdist, "w:gz") as packed:
        packed.add(origins.repository / "pyproject.toml", "../outside.toml")
    with pytest.raises(IntegrityError, match="not an archive that can"):
        origins.scene.lock(pip=[origins.archive], policy=ALLOW)
    origins.sdist.write_bytes(b"no archive")
    with pytest.raises(IntegrityError, match="not an archive that can"):
        origins.scene.lock(pip=[origins.archive], policy=ALLOW)


def test_a_commit_is_built_once_and_locked(origins: Origins) -> None:
    scene = origins.scene

    found = scene.lock(pip=[origins.git.replace("tool @", "tool[more] @")], policy=ALLOW)

    tool = locked(found)
    assert tool.built is not None
    assert (tool.version, tool.built.commit) == ("3.0", origins.commit)
    assert tool.url == origins.repository.as_uri()
    assert tool.file_name == "tool-3.0-py3-none-any.whl"
    assert {each.name: each.version for each in found.lock.pip} == {
        "helper": "1.0",
        "spare": "1.0",
        "tool": "3.0",
    }
    assert lock_json.parse(lock_json.render(found.lock), "it", "") == found.lock
    again = scene.lock(pip=[origins.git], policy=ALLOW, upgrade=None)
    assert "building" not in scene.told
    assert locked(again).sha256 == tool.sha256


@pytest.mark.parametrize(
    "forms", [("explicit", "pylock"), ("explicit", "requirements"), ("conda-lock",)]
)
@pytest.mark.parametrize("kind", ["git", "archive"])
def test_what_was_built_is_adopted_as_the_same_lock(
    origins: Origins, forms: tuple[str, ...], kind: str
) -> None:
    scene = origins.scene
    made = scene.lock(pip=[getattr(origins, kind)], policy=ALLOW).lock
    files = [scene.root / f"{each}.{_SUFFIX[each]}" for each in forms]
    for path, name in zip(files, forms, strict=True):
        path.write_text(FORMATS[name].render(made), encoding="utf-8")
    shutil.rmtree(scene.root / "project/.elt_env")
    project = open_project(scene.root / "project")
    found = adopt(open_lock_files(files), made.target, project, open_tools, scene.said)
    assert found.locked.lock.digest == made.digest
    assert found.locked.lock.pip[0].required_by == ("tool",)


def test_an_sdist_is_built_once_and_locked(origins: Origins) -> None:
    found = origins.scene.lock(pip=[origins.archive], policy=ALLOW)

    tool = locked(found)
    assert tool.built is not None
    assert tool.built.sha256 == digest(origins.sdist)
    assert tool.sha256 != tool.built.sha256
    assert locked(found, "helper").version == "1.0"


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_what_is_built_needs_an_allowance(kind: str, origins: Origins) -> None:
    with pytest.raises(SpecError) as caught:
        origins.scene.lock(pip=[getattr(origins, kind)], policy={"allow-sdist": ["other"]})
    assert 'allow-sdist = ["other", "tool"]' in caught.value.remedy
    assert origins.scene.lock(pip=[getattr(origins, kind)], policy={"wheels-only": False}).lock


def test_another_commit_makes_a_new_lock(origins: Origins) -> None:
    scene = origins.scene
    before = scene.lock(pip=[origins.git], policy=ALLOW)
    write_source(origins.repository, "tool", "3.0", requires=["helper"])

    after = scene.lock(pip=[origins.git], policy=ALLOW)

    assert not after.kept
    assert after.lock.digest != before.lock.digest
    assert locked(after, "helper").version == "1.0"  # kept: it still satisfies
    assert any("new in the spec" in each for each in after.reasons)
    without = scene.lock(policy=ALLOW)
    assert without.lock.pip == ()


def test_the_files_of_the_lock_name_the_origin(origins: Origins) -> None:
    found = origins.scene.lock(pip=[origins.git], policy=ALLOW)

    listed = requirements.render(found.lock)
    assert f"tool @ git+{origins.repository.as_uri()}@{origins.commit}\n" in listed
    standard = pylock.render(found.lock)
    assert "[packages.vcs]" in standard
    assert f'commit-id = "{origins.commit}"' in standard
    by_archive = origins.scene.lock(pip=[origins.archive], policy=ALLOW)
    assert f"tool @ {origins.sdist.as_uri()} \\\n    --hash=sha256:" in requirements.render(
        by_archive.lock
    )
    assert "[packages.archive]" in pylock.render(by_archive.lock)


def test_a_wheel_that_is_lost_is_built_again(origins: Origins) -> None:
    scene = origins.scene
    toolbox = scene.toolbox(pip=[origins.git], policy=ALLOW)
    found = scene.lock_with(toolbox)
    shutil.rmtree(toolbox.project.local_home / "cache")

    said = Said()
    path = toolbox.direct_wheels.get_locked(locked(found), "3.11", toolbox.indexes, said)

    assert digest(path) == locked(found).sha256
    assert any("building it again" in each for each in said)


def test_a_build_that_differs_each_time_says_so(origins: Origins) -> None:
    scene = origins.scene
    scene.index.add(make_backend(scene.root / "careless", careless=True))
    toolbox = scene.toolbox(pip=[origins.git], policy=ALLOW)
    found = scene.lock_with(toolbox)
    shutil.rmtree(toolbox.project.local_home / "cache")

    with pytest.raises(IntegrityError, match="not reproducible"):
        toolbox.direct_wheels.get_locked(locked(found), "3.11", toolbox.indexes, silent)


def test_another_name_is_refused(origins: Origins) -> None:
    asked = origins.git.replace("tool @", "other @")
    with pytest.raises(SpecError, match="'tool', not 'other'"):
        origins.scene.lock(pip=[asked], policy={"allow-sdist": ["other"]})


def test_what_does_not_build_says_why(origins: Origins) -> None:
    (origins.repository / "module.py").unlink()
    with pytest.raises(EltEnvError, match=r"(?s)does not build.*module\.py"):
        origins.scene.lock(pip=[origins.git], policy=ALLOW)


def test_a_commit_that_is_not_there_and_a_repository_that_is_not(origins: Origins) -> None:
    nowhere = origins.git.replace(origins.commit, "f" * 40)
    with pytest.raises(SpecError, match="has no commit ffff") as caught:
        origins.scene.lock(pip=[nowhere], policy=ALLOW)
    assert "git ls-remote" in caught.value.remedy
    elsewhere = origins.git.replace("/repository@", "/gone@")
    with pytest.raises(EltEnvError, match="cannot be fetched"):
        origins.scene.lock(pip=[elsewhere], policy=ALLOW)


def test_a_commit_that_no_branch_has_any_more(origins: Origins, tmp_path: Path) -> None:
    first = origins.commit
    write_source(origins.repository, "tool", "4.0")
    commit(origins.repository)

    moment = check_out(origins.repository.as_uri(), first, tmp_path / "out", 60.0, silent)

    assert 'version = "3.0"' in (tmp_path / "out" / "pyproject.toml").read_text()
    assert moment == 1714979289


def test_a_subdirectory(origins: Origins) -> None:
    write_source(origins.repository / "py" / "tool", "tool", "5.0")
    asked = f"{origins.git}#subdirectory=py/tool"
    found = origins.scene.lock(pip=[asked], policy=ALLOW)
    assert locked(found).version == "5.0"
    with pytest.raises(SpecError, match="no directory 'js'"):
        origins.scene.lock(pip=[f"{origins.git}#subdirectory=js"], policy=ALLOW)
