"""The checks on native code, on real ELF files with planted faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.proof.prove import Finding
from elt_env.tools import Tools
from tests.support.native import (
    an_extension,
    for_another_machine,
    patched,
    replace,
    wanting_a_future_glibc,
)
from tests.support.proving import prove
from tests.support.sample import Sample, silent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")


@pytest.fixture
def toolbox(sample: Sample, tmp_path: Path) -> Tools:
    return sample.toolbox(tmp_path / "project")


@pytest.fixture
def prefix(sample: Sample, sample_lock: Lock, toolbox: Tools, tmp_path: Path) -> Prefix:
    """A prefix with `speed`: an extension module, a library of its own, and one of that's."""
    bare = Prefix(sample.build(tmp_path / "bare", sample_lock).path, sample_lock)
    suffix = next((bare.library / "lib-dynload").glob("math.*.so")).name.partition(".")[2]
    elf = an_extension(bare.library)
    libs = ["--force-rpath", "--set-rpath", "$ORIGIN/../speed.libs"]
    work = tmp_path / "work.so"
    sample.offer_pip(
        "speed",
        {
            "speed/__init__.py": "",
            f"speed/math.{suffix}": patched(elf, work, "--add-needed", "libfast.so", *libs),
            # As auditwheel leaves it: no search path, found through whoever loads it.
            "speed.libs/libfast.so": patched(
                elf, work, "--set-soname", "libfast.so", "--add-needed", "libdeep.so"
            ),
            "speed.libs/libdeep.so": patched(elf, work, "--set-soname", "libdeep.so"),
        },
    )
    lock = sample.lock(pip=["speed"])
    return Prefix(ensure_prefix(lock, toolbox, silent).path, lock)


def look(name: str, prefix: Prefix, toolbox: Tools) -> Finding:
    evidence = prove(name, prefix.lock, toolbox, silent, again=True)
    return Finding(evidence.status, evidence.detail)


def extension(prefix: Prefix) -> Path:
    return next((prefix.site_packages / "speed").glob("math.*.so"))


def test_all_is_found_and_fits(prefix: Prefix, toolbox: Tools) -> None:
    for name in ("binary_abi", "native_libraries"):
        found = look(name, prefix, toolbox)
        assert found.status == "passed", found.detail
        assert "native files" in found.detail


@pytest.mark.parametrize("library", ["libfast.so", "libdeep.so"])
def test_a_deleted_library_is_named_with_whoever_needs_it(
    library: str, prefix: Prefix, toolbox: Tools
) -> None:
    (prefix.site_packages / "speed.libs" / library).unlink()

    found = look("native_libraries", prefix, toolbox)

    assert found.status == "failed"
    assert f"of speed 1.0 needs {library}, which is neither there nor the system's" in found.detail
    assert found.detail.count("\n") == 0


def test_a_library_its_own_package_loads_first_is_excused(
    prefix: Prefix, toolbox: Tools, tmp_path: Path
) -> None:
    file = extension(prefix)
    replace(file, patched(file.read_bytes(), tmp_path / "w.so", "--remove-rpath"))
    found = look("native_libraries", prefix, toolbox)
    assert found.status == "passed"
    assert "loaded first by their own package: libdeep.so, libfast.so" in found.detail


@pytest.mark.parametrize("check", ["binary_abi", "native_libraries"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_truncated_file_is_named(left: int, check: str, prefix: Prefix, toolbox: Tools) -> None:
    file = prefix.site_packages / "speed.libs" / "libdeep.so"
    replace(file, file.read_bytes()[:left])

    found = look(check, prefix, toolbox)

    assert found.status == "failed"
    assert "libdeep.so of speed 1.0 is no whole ELF file" in found.detail


def test_an_extension_for_another_python_is_named(prefix: Prefix, toolbox: Tools) -> None:
    file = extension(prefix)
    file.rename(file.with_name("math.cpython-399-x86_64-linux-gnu.so"))

    found = look("binary_abi", prefix, toolbox)

    assert found.status == "failed"
    assert "math.cpython-399-x86_64-linux-gnu.so" in found.detail
    assert f"the interpreter is cpython-3{prefix.lock.target.python[2:]}" in found.detail


def test_one_file_of_several_for_a_module_is_enough(prefix: Prefix, toolbox: Tools) -> None:
    file = extension(prefix)
    for other in ("math.cpython-399-x86_64-linux-gnu.so", "_slow.abi3.so", "_plain.so"):
        file.with_name(other).write_bytes(file.read_bytes())

    assert look("binary_abi", prefix, toolbox).status == "passed"


def test_native_code_of_another_machine_is_named(prefix: Prefix, toolbox: Tools) -> None:
    file = extension(prefix)
    replace(file, for_another_machine(file.read_bytes()))

    found = look("binary_abi", prefix, toolbox)

    assert found.status == "failed"
    assert f"speed/{file.name} of speed 1.0 is for AARCH64 with 64 bits" in found.detail


def test_what_a_package_has_for_other_machines_is_no_fault(
    prefix: Prefix, toolbox: Tools, tmp_path: Path
) -> None:
    # As teradatasql has teradatasql.so, teradatasql.arm.so and more, and picks one.
    elf = an_extension(prefix.library)
    place = prefix.site_packages / "speed.libs"
    (place / "drive.so").write_bytes(elf)
    strange = for_another_machine(patched(elf, tmp_path / "w.so", "--add-needed", "libstrange.so"))
    (place / "drive.arm.so").write_bytes(strange)
    record = prefix.site_packages / "speed-1.0.dist-info" / "RECORD"
    rows = "speed.libs/drive.so,,\nspeed.libs/drive.arm.so,,\n"
    replace(record, record.read_bytes() + rows.encode())

    for name in ("binary_abi", "native_libraries"):
        found = look(name, prefix, toolbox)
        assert found.status == "passed", found.detail
    assert "; 1 more for other machines" in look("binary_abi", prefix, toolbox).detail

    # What something of this machine is linked with is one, whatever it is called.
    replace(place / "libfast.so", for_another_machine((place / "libfast.so").read_bytes()))
    assert "libfast.so of speed 1.0 is for AARCH64" in look("binary_abi", prefix, toolbox).detail


def test_a_library_of_the_machine_that_a_package_does_without_is_no_fault(
    prefix: Prefix, toolbox: Tools, tmp_path: Path
) -> None:
    # As numba has tbbpool and omppool.
    file = extension(prefix)
    replace(file, patched(file.read_bytes(), tmp_path / "w.so", "--add-needed", "libtbb.so.99"))
    assert "needs libtbb.so.99" in look("native_libraries", prefix, toolbox).detail

    code = "try:\n    from speed import math\nexcept ImportError:\n    math = None\n"
    replace(prefix.site_packages / "speed" / "__init__.py", code.encode())
    found = look("native_libraries", prefix, toolbox)
    assert found.status == "passed", found.detail
    assert "done without: libtbb.so.99" in found.detail

    # What it brought and has lost is one.
    (prefix.site_packages / "speed.libs" / "libfast.so").unlink()
    assert "needs libfast.so" in look("native_libraries", prefix, toolbox).detail


def test_a_glibc_that_is_too_old_is_named(prefix: Prefix, toolbox: Tools) -> None:
    file = extension(prefix)
    replace(file, wanting_a_future_glibc(file.read_bytes()))

    found = look("binary_abi", prefix, toolbox)

    assert found.status == "failed"
    assert f"{file.name} of speed 1.0 needs GLIBC_9." in found.detail
    assert "libc.so.6 does not have" in found.detail


def test_a_wheel_for_another_platform_is_named(prefix: Prefix, toolbox: Tools) -> None:
    wheel = prefix.site_packages / "speed-1.0.dist-info" / "WHEEL"
    text = wheel.read_text()
    replace(wheel, text.replace("py3-none-any", "cp399-cp399-manylinux_2_17_x86_64").encode())

    found = look("binary_abi", prefix, toolbox)

    assert found.status == "failed"
    assert found.detail == "speed 1.0 is a wheel for cp399-cp399-manylinux_2_17_x86_64"
