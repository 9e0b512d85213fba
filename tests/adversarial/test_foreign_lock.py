"""A lock from elsewhere: each of its fields is what it should be, or nothing is done with it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.cli import main
from elt_env.cli.targets import lock_in
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.lockfile import lock_json, requirements
from elt_env.lockfile.document import Lock, Package
from elt_env.lockfile.lock_faults import faults
from elt_env.package.canonical import digest_of
from tests.support.locks import conda_package, lock_of, locks, owning, pip_package, python_package
from tests.support.proving import keep_current, toolbox_at
from tests.support.said import Said

_LOCK = lock_of(
    python_package(),
    owning(conda_package("gamma"), ("gamma", "1.0")),
    pip_package("alpha"),
    pip_package("beta"),
    variables=(("A", "1"),),
)
_BAD = [
    "../../x",
    "/etc/x",
    "a\n--index-url http://evil.example/simple",
    "x\x1b[2J",
    "",
    "-e .",
    "file:///etc/../x",
    "http://user:word@host.example/x-1.0-py3-none-any.whl",
    "https:///x",
    "\0",
    "a" * 64 + "\n",
]


def forged(content: dict[str, Any]) -> str:
    """Return a manifest whose digest and checksum somebody made anew."""
    content = {key: value for key, value in content.items() if key not in {"digest", "checksum"}}
    try:
        digest = lock_json._adapter.validate_python(content).digest
    except Exception:  # noqa: BLE001  # whatever: it states some digest
        digest = "sha256:" + "0" * 64
    content["digest"] = digest
    return json.dumps(content | {"checksum": digest_of(content)})


def content_of(lock: Lock) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(lock_json.render(lock))
    return content


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inner:
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


_PATHS = [each for each in leaves(content_of(_LOCK)) if each[0] not in {"digest", "checksum"}]
_VALUES = st.one_of(
    st.sampled_from(_BAD),
    st.text(max_size=12),
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.just([]),
    st.just({}),
)


@given(locks())
def test_what_is_made_here_has_no_fault(lock: Lock) -> None:
    assert faults(lock) == ()


@given(st.lists(st.tuples(st.sampled_from(_PATHS), _VALUES), min_size=1, max_size=3))
def test_a_mutated_lock_is_refused_or_harmless(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    content = content_of(_LOCK)
    for path, value in changes:
        node = content
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
    try:
        lock = lock_json.parse(forged(content), "lock.json", "Make a new one.")
    except IntegrityError as error:
        assert error.exit_code == 5  # noqa: PT017  # anything else is a traceback
    else:
        require_harmless(lock)


def require_harmless(lock: Lock) -> None:
    """Return where a lock hands no option to pip and writes nowhere but into its prefix."""
    lines = requirements.render(lock).splitlines()[1:]
    heads = [each for each in lines if not each.startswith("    --hash=sha256:")]
    assert len(lines) == 2 * len(lock.pip)
    assert len(heads) == len(lock.pip)
    assert not any(each.startswith("-") for each in heads)
    root = Path(tempfile.gettempdir()) / "prefix"
    place = Prefix(root, lock).site_packages
    assert place.resolve().is_relative_to(root.resolve())
    for each in lock.packages:
        assert "/" not in each.file_name.replace("%2F", "/")


def with_package(name: str, **changes: Any) -> Lock:
    def changed(each: Package) -> Package:
        detail = {key: value for key, value in changes.items() if key not in _OF_PACKAGE}
        if each.name != name:
            return each
        own = {key: value for key, value in changes.items() if key in _OF_PACKAGE}
        more: dict[str, Any] = {}
        if detail and each.conda:
            more["conda"] = replace(each.conda, **detail)
        return replace(each, **own, **more)

    return replace(_LOCK, packages=tuple(map(changed, _LOCK.packages)))


_OF_PACKAGE = ("sha256", "url", "version", "build", "index", "size")


@pytest.mark.parametrize(
    ("name", "changes", "what"),
    [
        ("alpha", {"sha256": "0" * 64 + "\n--index-url=http://evil.example"}, "its sha256"),
        ("alpha", {"sha256": "0" * 64 + "\n"}, "its sha256"),
        ("alpha", {"version": "1.0\n-e ."}, "its version"),
        ("alpha", {"url": "https://x.example/beta-1.0-py3-none-any.whl"}, "its archive"),
        ("alpha", {"url": "ftp://x.example/alpha-1.0-py3-none-any.whl"}, "its URL"),
        ("alpha", {"url": "https://u:p@x.example/alpha-1.0-py3-none-any.whl"}, "carries a login"),
        ("alpha", {"url": "file:///a/%2e%2e/alpha-1.0-py3-none-any.whl"}, "leads upwards"),
        ("alpha", {"index": "https://x.example:port/simple"}, "its index is no URL"),
        ("alpha", {"size": -1}, "its size"),
        ("python", {"python_site_packages_path": "../.."}, "python_site_packages_path"),
        ("python", {"python_site_packages_path": "/etc"}, "python_site_packages_path"),
        ("python", {"python_site_packages_path": "lib/./x"}, "python_site_packages_path"),
        ("gamma", {"build": "h1/../../x"}, "its build"),
        ("gamma", {"build_number": 2**70}, "its build number"),
        ("gamma", {"subdir": "../x"}, "its subdir"),
        ("gamma", {"depends": ("python\n",)}, "what it depends on"),
        ("gamma", {"distributions": (("gamma", "1.0\n-e ."),)}, "its distributions"),
        ("gamma", {"scripts": ("../x",)}, "its scripts"),
    ],
)
def test_a_field_is_named(name: str, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(IntegrityError, match="is no lock that this project makes") as raised:
        lock_json.parse(lock_json.render(with_package(name, **changes)), "lock.json", "Make one.")
    assert what in raised.value.problem
    assert "\x1b" not in raised.value.problem


def test_all_faults_are_said_at_once() -> None:
    lock = with_package("alpha", sha256="x", version="y z")
    assert len(faults(replace(lock, channels=("ftp://x",)))) == 3


def test_the_command_line_writes_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toolbox_at(tmp_path / "project")
    place = tmp_path / "lock"
    place.mkdir()
    lock = with_package("python", python_site_packages_path="../..")
    (place / "lock.json").write_text(lock_json.render(lock))
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path / "project"))
    with pytest.raises(SystemExit) as ended:
        main(["build", "elt@3.11", "--lock", str(place)])
    assert ended.value.code == 5
    assert "Traceback" not in capsys.readouterr().err
    home = tmp_path / "project" / ".elt_env"
    assert not any(each.is_file() for each in home.rglob("*"))


def test_the_projects_own_places_stay(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path / "project")
    keep_current(_LOCK, toolbox)
    evil = with_package("alpha", url="https://evil.example/alpha-1.0-py3-none-any.whl")
    assert evil.digest == _LOCK.digest
    elsewhere = toolbox_at(tmp_path / "elsewhere").store
    place = str(elsewhere.write_lock(evil))
    said = Said()
    assert lock_in(place, _LOCK.target, toolbox.store, said) == _LOCK
    stranger = toolbox_at(tmp_path / "third")
    assert lock_in(place, _LOCK.target, stranger.store, said) == evil
    assert "is fetched from" in said[-1]
    assert "evil.example" in said[-1]
