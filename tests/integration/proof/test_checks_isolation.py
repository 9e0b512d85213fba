"""The check that nothing outside the prefix takes part, with planted faults."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.machine.environment_variables import prefix_environment, user_environment
from elt_env.proof.prove import Finding
from elt_env.tools import Tools
from tests.support.native import replace
from tests.support.proving import prove
from tests.support.sample import Sample, silent

# Its name in the package is that of the check.
surroundings = importlib.import_module("elt_env.proof.checks.isolation")


def look(prefix: Prefix, toolbox: Tools) -> Finding:
    evidence = prove("isolation", prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def leak(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let variables of the caller reach the tools, as a launcher that is not careful would."""

    def leaky(prefix: Path, *, base: Mapping[str, str]) -> dict[str, str]:
        return prefix_environment(prefix, base=base) | {name: base[name] for name in names}

    monkeypatch.setattr(surroundings, "prefix_environment", leaky)


def test_a_hostile_caller_changes_nothing(
    prefix: Prefix, toolbox: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    for name in ("dbt", "python", "alpha"):
        (shadow / name).write_text("#!/bin/sh\nexit 3\n")
        (shadow / name).chmod(0o755)
    (shadow / "json.py").write_text("raise RuntimeError('shadowed')\n")
    monkeypatch.setenv("PATH", f"{shadow}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(shadow))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(shadow))

    found = look(prefix, toolbox)

    assert found.status == "passed", found.detail
    assert "none foreign" in found.detail


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("PYTHONPATH", "(?s)modules, which is outside the prefix.*PYTHONPATH reached the tool"),
        # Without its library or its standard library, the interpreter may not even start.
        ("LD_LIBRARY_PATH", "caller's LD_LIBRARY_PATH|libpython"),
        ("PATH", "'alpha' is found at .* before the prefix's own"),
        ("PYTHONHOME", "caller's PYTHONHOME reached|does not start"),
        ("VIRTUAL_ENV", "caller's VIRTUAL_ENV reached"),
        ("CONDA_PREFIX", "caller's CONDA_PREFIX reached"),
        ("PIP_TARGET", "caller's PIP_TARGET reached"),
    ],
)
def test_what_the_caller_has_set_is_named(
    variable: str, told: str, prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(monkeypatch, variable)

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert re.search(told, found.detail)


def test_the_user_site_is_named(
    prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(prefix: Path, *, base: Mapping[str, str]) -> dict[str, str]:
        env = prefix_environment(prefix, base=base)
        del env["PYTHONNOUSERSITE"]
        return env

    monkeypatch.setattr(surroundings, "prefix_environment", leaky)

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert "user's site-packages is on" in found.detail
    assert "usercustomize" in found.detail


@pytest.mark.parametrize("variable", ["PYTHONPATH", "LD_LIBRARY_PATH", "OPENSSL_MODULES", "PATH"])
def test_what_reaches_a_persons_command_is_named(
    variable: str, prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(path: Path, base: Mapping[str, str]) -> dict[str, str]:
        return user_environment(path, base) | {variable: base[variable]}

    monkeypatch.setattr(surroundings, "user_environment", leaky)

    found = look(prefix, toolbox)

    assert found.status == "failed"
    told = {
        "PYTHONPATH": "the caller's PYTHONPATH reached the tool",
        "LD_LIBRARY_PATH": "",  # the interpreter may not even start
        "OPENSSL_MODULES": "the caller's OPENSSL_MODULES reached the tool",
        "PATH": "'alpha' is found at",
    }[variable]
    assert all(each.startswith("with elt-env run, ") for each in found.detail.splitlines()[:1])
    assert told in found.detail


def test_a_pth_file_that_leads_out_is_named(prefix: Prefix, toolbox: Tools, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (prefix.site_packages / "easy.pth").write_text(f"{elsewhere}\n")

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert f"easy.pth adds {elsewhere}, which is outside the prefix" in found.detail
    assert "easy.pth in site-packages belongs to no package" in found.detail
    assert f"sys.path has {elsewhere}" in found.detail


@pytest.mark.parametrize(("how", "status"), [("append(", "passed"), ("insert(0, ", "failed")])
def test_a_place_for_plugins_takes_no_module_s_place(
    how: str, status: str, prefix: Prefix, toolbox: Tools
) -> None:
    code = f"import os, sys\nsys.path.{how}os.path.expanduser('~/alpha/plugins'))\n"
    replace(prefix.site_packages / "alpha" / "__init__.py", code.encode())

    found = look(prefix, toolbox)

    assert found.status == status, found.detail
    told = "home/alpha/plugins, which is outside the prefix: the import of alpha puts it there"
    assert (told in found.detail) is (status == "failed")


def test_a_script_of_another_python_is_named(prefix: Prefix, toolbox: Tools) -> None:
    script = prefix.path / "bin" / "alpha"
    replace(script, b"#!/usr/bin/python3\nprint('hello')\n")
    script.chmod(0o755)

    found = look(prefix, toolbox)

    assert found.status == "failed"
    assert found.detail == "bin/alpha is run by /usr/bin/python3, which is outside the prefix"


def test_a_store_may_be_reached_by_a_link(
    sample: Sample, prefix: Prefix, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    link = tmp_path_factory.mktemp("another") / "way"
    link.symlink_to(tmp_path)
    for name in ("isolation", "mixed_managers", "conda_scripts"):
        found = prove(name, prefix.lock, sample.toolbox(link), silent, again=True)
        assert found.status == "passed", found.detail


def test_a_module_that_hangs_is_named(
    prefix: Prefix, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "PATIENCE", 3.0)
    replace(prefix.site_packages / "alpha" / "__init__.py", b"import time\ntime.sleep(600)\n")
    found = look(prefix, toolbox)
    assert found.status == "failed"
    assert "the import of alpha takes longer than 3 s" in found.detail
