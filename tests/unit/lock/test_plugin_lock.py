"""Locks of plugins: when they hold, what they install, and how two of them differ."""

from __future__ import annotations

from dataclasses import replace

from elt_env.lock.plugin_lock import LockedPlugin, PluginLock, plugin_changes
from elt_env.lockfile.document import Package

_ASKED = {("extractors", "tap-a"): "tap-a~=1.0", ("loaders", "target-b"): "target-b"}


def package(name: str, version: str = "1.0") -> Package:
    return Package("pip", name, version, f"https://files.example/{name}.whl", "ab" * 32)


_TAP = LockedPlugin("extractors", "tap-a", "tap-a~=1.0", (package("attrs"), package("tap-a")))
_TARGET = LockedPlugin("loaders", "target-b", "target-b", (package("attrs", "2.0"),))
_LOCK = PluginLock("3.11", "linux-64", (_TAP, _TARGET))


def test_it_holds_for_the_same_plugins_python_and_platform() -> None:
    assert _LOCK.answers(_ASKED, "3.11", "linux-64")
    assert not _LOCK.answers(_ASKED, "3.12", "linux-64")
    assert not _LOCK.answers(_ASKED, "3.11", "linux-aarch64")
    assert not _LOCK.answers({**_ASKED, ("loaders", "target-b"): "target-b<2"}, "3.11", "linux-64")
    assert not _LOCK.answers({}, "3.11", "linux-64")


def test_nothing_but_what_is_locked_is_installed() -> None:
    assert _TAP.requirements == (
        f"attrs==1.0 \\\n    --hash=sha256:{'ab' * 32}\n"
        f"tap-a==1.0 \\\n    --hash=sha256:{'ab' * 32}\n"
    )
    own = replace(_TAP, packages=(), direct=("tap-a @ git+https://git.example/a@c0ffee",))
    assert own.requirements == "tap-a @ git+https://git.example/a@c0ffee\n"
    assert (_TAP.is_hashed, own.is_hashed) == (True, False)
    assert not _TAP.pins_itself
    assert replace(_TAP, pip_url="--no-deps --require-hashes -r pins.txt").pins_itself


def test_each_plugin_has_its_own_changes() -> None:
    newer = replace(_TAP, packages=(package("attrs", "1.1"), package("tap-a"), package("six")))
    direct = replace(_TARGET, packages=(), direct=("attrs @ https://files.example/attrs.whl",))
    new = PluginLock("3.11", "linux-64", (newer, direct))
    assert plugin_changes(_LOCK, new) == (
        "tap-a: ^ attrs 1.0 → 1.1 (pip, upgraded)",
        "tap-a: + six 1.0 (pip, added)",
        "target-b: - attrs 2.0 (pip, removed)",
        "target-b: + attrs @ https://files.example/attrs.whl",
    )
    assert new.digest != _LOCK.digest
    assert plugin_changes(_LOCK, _LOCK) == plugin_changes(None, _LOCK) == ()
    one = PluginLock("3.11", "linux-64", (_TAP,))
    assert plugin_changes(one, _LOCK) == ("target-b: + attrs 2.0 (pip, added)",)


def test_what_may_move_is_known_by_name() -> None:
    asked = replace(_TAP, pip_url="Tap_A[x]>=1,<2 --index-url https://index.example six")
    assert asked.asked == ("tap-a<2,>=1", "six")
    assert [asked.asks_for(each) for each in ("tap-a", "six", "attrs", "tap")] == [
        True,
        True,
        False,
        False,
    ]
    assert _LOCK.holds({"attrs", "other"})
    assert not _LOCK.holds({"other"})
    fixed = replace(_TAP, pip_url="--require-hashes -r pins.txt")
    kept = PluginLock("3.11", "linux-64", (fixed,))
    assert not kept.holds({"attrs"})
    assert (kept.is_movable, _LOCK.is_movable) == (False, True)
