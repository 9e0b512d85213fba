"""Code that a package lets run at every start of Python is named, in the diff and by a check."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.environment.startup_code import StartupChange, StartupFile, in_archive, startup_changes
from elt_env.lock.diff_render import body, headline, to_markdown, to_text
from elt_env.lock.explain_diff import explain, explain_relock, read_report, with_startup
from elt_env.lockfile.document import Lock, Manager, Package
from elt_env.proof.checks.startup_code import startup_code
from elt_env.release.promote import promote
from elt_env.runtime.files import remove_tree
from elt_env.tools import Tools
from tests.support.proving import keep_current, pretend_proven
from tests.support.sample import Sample, silent

_HOOK = "import sys; sys.hooked = True\n"


@pytest.fixture(scope="module")
def locks(shared_sample: Sample) -> tuple[Lock, Lock]:
    """A lock whose packages run nothing, and one with each way to run at every start."""
    sample = shared_sample
    sample.offer_pip("plain", {"plain.py": "", "known.pth": "import plain\n"})
    sample.offer_pip("hooked", {"hooked.py": "", "hooked.pth": _HOOK})
    sample.offer_pip("customized", {"customized.py": "", "usercustomize/__init__.py": _HOOK})
    data = f"led_astray-1.0.data/data/lib/python{sample.python}/site-packages/led.pth"
    sample.offer_pip("led-astray", {data: "astray\n"})
    sample.offer_pip("added", {"astray/sitecustomize.py": _HOOK})
    sample.offer_conda("condahook", "1.0", {"sitecustomize.py": _HOOK})
    before = sample.lock(conda=["tally"], pip=["plain"])
    pip = ["plain", "hooked", "customized", "led-astray", "added"]
    return before, sample.lock(conda=["tally", "condahook"], pip=pip)


def built(lock: Lock, toolbox: Tools) -> Prefix:
    keep_current(lock, toolbox)
    return Prefix(ensure_prefix(lock, toolbox, silent).path, lock)


def test_what_the_last_release_did_not_run_is_named(
    shared_sample: Sample, locks: tuple[Lock, Lock], tmp_path: Path
) -> None:
    toolbox = shared_sample.toolbox(tmp_path)
    before, after = locks
    first = built(before, toolbox)
    found = startup_code(first, toolbox, silent)
    assert found.status == "passed"
    assert "known.pth of plain" in found.detail
    pretend_proven(before, toolbox)
    promote(before.target, toolbox, silent, trigger="", by="a test")
    assert startup_code(first, toolbox, silent).status == "passed"

    second = built(after, toolbox)
    site = second.site_packages.relative_to(second.path).as_posix()
    expected = {
        "hooked": f"{site}/hooked.pth",
        "customized": f"{site}/usercustomize/__init__.py",
        "led-astray": f"{site}/led.pth",
        "added": f"{site}/astray/sitecustomize.py",
        "condahook": f"{site}/sitecustomize.py",
    }
    found = startup_code(second, toolbox, silent)
    assert found.status == "warned"
    for name, path in expected.items():
        assert f"{path} of {name} runs at every start of Python, and is new" in found.log
    assert "known.pth of plain runs" not in found.log

    report = with_startup(explain(before, after, toolbox, silent), before, after, toolbox.store)
    for text in (to_text(report), to_markdown(report).replace("\\", "")):
        assert "5 new at every start of Python" in text
        for name, path in expected.items():
            assert f"{name}: {path}, new" in text

    remove_tree(first.path)  # what changed since that lock counts as new then
    again = with_startup(report, before, after, toolbox.store)
    assert again.startup == report.startup


def test_a_relock_names_what_the_changed_packages_bring(
    shared_sample: Sample, locks: tuple[Lock, Lock], tmp_path: Path
) -> None:
    """Before anything is built, as the archives tell; what a line of a `.pth` adds is not seen."""
    toolbox = shared_sample.toolbox(tmp_path)
    before, after = locks
    report = explain_relock(before, after, toolbox, silent)
    site = f"lib/python{after.target.python}/site-packages"
    expected = {
        "hooked": f"{site}/hooked.pth",
        "customized": f"{site}/usercustomize/__init__.py",
        "led-astray": f"{site}/led.pth",
        "condahook": f"{site}/sitecustomize.py",
    }
    assert {each.package: each.path for each in report.startup} == expected
    assert all(each.kind == "new" for each in report.startup)
    text = "\n".join([headline(report), *body(report)])
    assert "4 new at every start of Python" in text
    assert f"hooked: {site}/hooked.pth, new" in text
    kept = read_report(toolbox.store, before.digest, after.digest)
    assert kept is not None
    assert with_startup(kept, before, after, toolbox.store).startup == report.startup
    # What the lock before brought too is not new.
    assert not explain_relock(after, before, toolbox, silent).startup


_SITE = "lib/python3.11/site-packages/"


@pytest.mark.parametrize(
    ("manager", "path", "place"),
    [
        ("pip", "a.pth", _SITE + "a.pth"),
        ("pip", "sitecustomize.py", _SITE + "sitecustomize.py"),
        ("pip", "usercustomize/__init__.so", _SITE + "usercustomize/__init__.so"),
        ("pip", "a-1.data/purelib/a.pth", _SITE + "a.pth"),
        ("pip", "a-1.data/platlib/sitecustomize.pyc", _SITE + "sitecustomize.pyc"),
        ("pip", f"a-1.data/data/{_SITE}a.pth", _SITE + "a.pth"),
        ("pip", "a-1.data/data/lib/python3.11/sitecustomize.py", "lib/python3.11/sitecustomize.py"),
        ("pip", "a-1.data/data/a.pth", None),
        ("pip", "a-1.data/scripts/a.pth", None),
        ("pip", "a/a.pth", None),
        ("pip", "site-packages/a.pth", None),
        ("pip", "sitecustomize/more.py", None),
        ("conda", "site-packages/a.pth", _SITE + "a.pth"),
        ("conda", _SITE + "a.pth", _SITE + "a.pth"),
        ("conda", "lib/python3.11/usercustomize.py", "lib/python3.11/usercustomize.py"),
        (
            "conda",
            "lib/python3.11/lib-dynload/sitecustomize.so",
            "lib/python3.11/lib-dynload/sitecustomize.so",
        ),
        ("conda", "lib/python3.11/a.pth", None),
        ("conda", "a.pth", None),
    ],
)
def test_where_a_file_of_an_archive_comes(manager: Manager, path: str, place: str | None) -> None:
    package = Package(manager, "a", "1", "https://host.example/a", "0" * 64)
    found = [each.path for each in in_archive(package, {path: "1"}, "3.11")]
    assert found == ([place] if place else [])


_FILES = st.lists(
    st.builds(
        StartupFile, st.sampled_from("ab"), st.sampled_from(["x.pth", "y.pth"]), st.text("01")
    ),
    unique_by=lambda each: (each.package, each.path),
).map(tuple)


@given(_FILES, _FILES)
def test_what_is_as_it_was_is_not_new(
    before: tuple[StartupFile, ...], now: tuple[StartupFile, ...]
) -> None:
    assert startup_changes(now, now) == ()
    found = startup_changes(before, now)
    assert {(each.package, each.path) for each in found} == {
        (each.package, each.path) for each in set(now) - set(before)
    }
    kinds = {
        each.kind
        for each in found
        if (each.package, each.path) not in {(one.package, one.path) for one in before}
    }
    assert kinds <= {"new"}


def test_another_minor_of_python_makes_nothing_new() -> None:
    before = StartupFile("a", "lib/python3.11/site-packages/a.pth", "1")
    now = StartupFile("a", "lib/python3.12/site-packages/a.pth", "1")
    assert startup_changes([before], [now]) == ()
    edited = StartupFile("a", now.path, "2")
    assert startup_changes([before], [edited]) == (StartupChange("a", now.path, "changed"),)
