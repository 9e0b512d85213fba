"""What conda's activation would set is there without it, and what would be run is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.cli import main
from elt_env.environment.activation_record import STATE
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.image.oci.reader import read_image
from elt_env.image.pack import pack
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.environment_variables import (
    prefix_environment,
    read_activation,
    user_environment,
)
from elt_env.machine.shells import shell_in
from elt_env.release.verify import verify
from elt_env.tools import Tools
from tests.support.conda_packages import PLACEHOLDER, make_conda_package
from tests.support.images import make_root_tar
from tests.support.proving import prove
from tests.support.releases import write_launchers
from tests.support.said import Said
from tests.support.sample import Sample, silent

_LIMIT = 60.0
_GEO = """\
# As many packages do.
if [[ -n "${GDAL_DATA:-}" ]]; then export _CONDA_SET_GDAL_DATA="$GDAL_DATA"; fi
export GDAL_DATA="$CONDA_PREFIX/share/gdal"
export BOTH="$GDAL_DATA:$CONDA_PREFIX/share:/usr/share"
export SEEN="$FROM_JSON and $FROM_SPEC"
export PATH="$CONDA_PREFIX/libexec/geo:$PATH"
unset PS1
"""
_WILD = """\
helper() { echo hello; }
alias ll='ls -l'
export PATH="/opt/elsewhere/bin:$PATH"
export LD_LIBRARY_PATH="$CONDA_PREFIX/lib:/opt/elsewhere/lib:$LD_LIBRARY_PATH"
export CACHE="$HOME/.cache/wild"
export OVERRIDDEN=script
not-a-program-at-all
"""
_FILES = {
    "etc/conda/activate.d/geo.sh": _GEO,
    "etc/conda/activate.d/geo.fish": "set GDAL_DATA x\n",
    "etc/conda/activate.d/only.csh": "setenv ONLY 1\n",
    "etc/conda/activate.d/leaves.sh": "export LOST=1\nexit 4\n",
    "etc/conda/activate.d/wild.sh": _WILD,
    "etc/conda/deactivate.d/geo.sh": "unset GDAL_DATA\n",
    "etc/conda/env_vars.d/a.json": json.dumps({"FROM_JSON": "a", "JAVA_HOME": PLACEHOLDER}),
    "etc/conda/env_vars.d/b.json": json.dumps({"from_json": "b", "SPEC_WINS": "json"}),
    "etc/conda/env_vars.d/broken.json": "{",
    "bin/.geo-post-link.sh": 'echo linked >> "$PREFIX/.messages.txt"\nexit 1\n',
    "bin/.geo-pre-unlink.sh": "exit 1\n",
}
_SPEC = {
    "FROM_SPEC": "spec's own",
    "SPEC_WINS": "spec",
    "OVERRIDDEN": "spec",
    "RELATIVE": "ci/profiles",
    "QUOTED": 'it\'s "$HOME" `x`\n@prefix@ ü',
}
_SET = {
    "GDAL_DATA": "{prefix}/share/gdal",
    "BOTH": "{prefix}/share/gdal:{prefix}/share:/usr/share",
    "SEEN": "b and spec's own",
    "FROM_JSON": "b",
    "JAVA_HOME": "{prefix}",
    "LD_LIBRARY_PATH": "{prefix}/lib",
    **_SPEC,
    "OVERRIDDEN": "script",  # conda sources the scripts after it exported the variables
}
_OMITTED = [
    "etc/conda/env_vars.d/broken.json is no JSON object, so it sets nothing",
    "etc/conda/activate.d/only.csh is for another shell, and there is none for sh",
    "etc/conda/activate.d/leaves.sh ends the shell that sources it, or takes too long",
    "etc/conda/activate.d/wild.sh ended with exit code 127",
    "etc/conda/activate.d/wild.sh defines functions, aliases or completions for a shell",
    "etc/conda/activate.d/wild.sh sets CACHE to a path of whoever activates",
    "etc/conda/activate.d/wild.sh sets LD_LIBRARY_PATH to what is outside the prefix",
    "'/opt/elsewhere/bin' on PATH is outside the prefix",
]
_NOTES = (
    "geo 1.0: its script bin/.geo-post-link.sh is not run",
    "geo 1.0: its script bin/.geo-pre-unlink.sh is not run",
)


def expected(prefix: str) -> dict[str, str]:
    return {name: value.replace("{prefix}", prefix) for name, value in _SET.items()}


@pytest.fixture(scope="module")
def locked(shared_sample: Sample) -> Lock:
    """A lock of a package with scripts of every kind, for a spec with variables."""
    make_conda_package(shared_sample.channel.root, "geo", "1.0", subdir="linux-64", files=_FILES)
    shared_sample.channel.index()
    plain = shared_sample.lock(conda=["geo", "tally"], pip=["alpha"])
    return replace(plain, variables=tuple(sorted(_SPEC.items())))


@pytest.fixture(scope="module")
def toolbox(locked: Lock, shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    root = tmp_path_factory.mktemp("activated")
    base = str(make_root_tar(root / "root.tar"))
    toolbox = shared_sample.toolbox(root / "project", image_base=base)
    toolbox.store.write_lock(locked)
    return toolbox


@pytest.fixture(scope="module")
def told(locked: Lock, toolbox: Tools) -> list[str]:
    """What the build told."""
    lines = Said()
    ensure_prefix(locked, toolbox, lines)
    return lines


@pytest.fixture
def prefix(told: list[str], locked: Lock, toolbox: Tools) -> Prefix:
    del told
    return Prefix(toolbox.store.prefix_path(locked), locked)


def found_in(variables: Mapping[str, str]) -> dict[str, str | None]:
    return {name: variables.get(name) for name in _SET}


def test_it_is_recorded_apart_from_the_place_of_the_prefix(prefix: Prefix) -> None:
    found = read_activation(prefix.path)
    assert found.values("/a/b") == expected("/a/b")
    assert found.path("/a/b") == ("/a/b/bin", "/a/b/libexec/geo")
    assert sorted(found.omitted) == sorted(_OMITTED)


def test_tools_and_persons_have_it_whatever_they_had(prefix: Prefix) -> None:
    caller = {**dict.fromkeys(_SET, "the caller's"), "PATH": "/usr/bin"}
    right = expected(str(prefix.path))
    for variables in (
        prefix_environment(prefix.path, base=caller),
        user_environment(prefix.path, caller),
    ):
        assert found_in(variables) == right
        directories = variables["PATH"].split(":")[:2]
        assert directories == [f"{prefix.path}/bin", f"{prefix.path}/libexec/geo"]
        assert "LOST" not in variables
        assert "CACHE" not in variables
    assert prefix_environment(prefix.path, extra={"RELATIVE": "x"})["RELATIVE"] == "x"


def test_launchers_have_it(prefix: Prefix, tmp_path: Path) -> None:
    write_launchers(tmp_path, prefix.path, "elt@3.11", prefix.lock.digest)
    assert found_in(_told_by([str(tmp_path / "bin" / "python")])) == expected(str(prefix.path))


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_shells_have_it_after_the_startup_file_of_the_person(
    shell: str, prefix: Prefix, tmp_path: Path
) -> None:
    startup = tmp_path / ".bashrc"
    startup.write_text("export RELATIVE=mine\n")
    base = {"SHELL": shell, "HOME": str(tmp_path), "ENV": str(startup), "PATH": "/usr/bin:/bin"}
    command, variables = shell_in(prefix.path, "elt@3.11", base)
    done = subprocess.run(
        command,
        env=variables,
        input="exec python -c 'import json, os; print(json.dumps(dict(os.environ)))'\n",
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found_in(found) == expected(str(prefix.path))
    assert "_ELT_VARIABLES" not in found


def _told_by(python: list[str]) -> dict[str, str]:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [*python, "-c", script], capture_output=True, text=True, timeout=_LIMIT, check=True
    )
    return dict(json.loads(done.stdout))


def test_an_image_has_it_at_its_own_place(prefix: Prefix, toolbox: Tools) -> None:
    image = pack(prefix.lock, toolbox.project, toolbox.store, silent).image
    layout = ImageStore(toolbox.store).layout
    env = read_image(layout, image.manifest).config.env
    variables = dict(each.partition("=")[::2] for each in env)
    place = toolbox.policy.image_path
    assert found_in(variables) == expected(place)
    assert variables["PATH"].startswith(f"{place}/bin:{place}/libexec/geo:")
    assert str(prefix.path) not in str(env)


def test_conda_finds_the_variables_of_the_spec(prefix: Prefix) -> None:
    assert json.loads((prefix.path / STATE).read_text()) == {"env_vars": _SPEC}


def test_what_is_not_done_is_said_and_no_value_is(
    told: list[str], prefix: Prefix, toolbox: Tools
) -> None:
    text = "\n".join(told)
    for script in ("bin/.geo-post-link.sh", "bin/.geo-pre-unlink.sh"):
        assert f"{script} is not run" in text
    for each in _OMITTED:
        assert each in text
    assert "spec's own" not in text
    assert not (prefix.path / ".messages.txt").exists()

    found = prove("conda_scripts", prefix.lock, toolbox, silent)
    assert found.status == "warned"
    assert "bin/.geo-post-link.sh of conda's is not run" in found.detail
    assert "GDAL_DATA" in found.detail


def test_run_has_it_and_says_in_a_line_what_is_not_done(
    prefix: Prefix,
    toolbox: Tools,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    target = prefix.lock.target
    toolbox.store.set_current(target, prefix.lock.digest, toolbox.store.now())
    monkeypatch.setenv("ELT_ENV_PROJECT", str(toolbox.project.root))
    monkeypatch.setenv("RELATIVE", "mine")
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    with pytest.raises(SystemExit) as ended:
        main(["run", target.name, "--", "python", "-c", script])
    assert ended.value.code == 0
    out, err = capfd.readouterr()
    assert found_in(json.loads(out)) == expected(str(prefix.path))
    (line,) = err.splitlines()
    assert line.startswith("elt-env: not all is as after conda activate: etc/conda/")
    assert f"and {len(_OMITTED) - 1} more" in line
    assert f"elt-env doctor {target.name} --check conda_scripts" in line


def test_checks_hold_with_it(prefix: Prefix, toolbox: Tools) -> None:
    for name in ("isolation", "mixed_managers", "imports", "reproducible"):
        found = prove(name, prefix.lock, toolbox, silent)
        # LD_LIBRARY_PATH is the prefix's own.
        assert found.status == "passed", found.detail
    assert verify(prefix.lock, toolbox.store, silent) == ()


def test_the_lock_notes_the_scripts(locked: Lock) -> None:
    assert locked.notes == _NOTES


def test_a_prefix_that_sets_nothing_is_as_it_was(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    toolbox.store.write_lock(sample_lock)
    path = ensure_prefix(sample_lock, toolbox, silent).path
    assert not list(path.glob(".elt-env-*"))
    assert not (path / STATE).exists()
    assert prove("conda_scripts", sample_lock, toolbox, silent).status == "passed"
