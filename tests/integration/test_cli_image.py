"""The commands about images, as a person meets them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.channel import Channel
from tests.support.index_server import IndexServer, dead_url
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.registry_server import docker_registry, needs_registry
from tests.support.terminal import Terminal, make_terminal

pytestmark = pytest.mark.xdist_group("cli_image")

_DIGEST = r"sha256:[0-9a-f]{64}"


@pytest.fixture(scope="module")
def packed(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Terminal, subprocess.CompletedProcess[str]]]:
    """A terminal at which the image was packed, and what the command printed."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        made = make_terminal(tmp_path_factory.mktemp("packed"), shared_python, index)
        assert made.type("lock", made.target).returncode == 0
        yield made, made.type("image", made.target)


@pytest.fixture
def at_work(packed: tuple[Terminal, subprocess.CompletedProcess[str]]) -> Terminal:
    assert packed[1].returncode == 0, packed[1].stderr
    return packed[0]


def test_image_says_what_it_is_made_of_and_what_proves_it(
    packed: tuple[Terminal, subprocess.CompletedProcess[str]], at_work: Terminal
) -> None:
    text = packed[1].stdout
    image = at_work.site.show(at_work.target)["image"]
    assert f"{at_work.target} {image['digest']}" in text
    assert f"oci:{image['path']}:{image['name']}" in text
    for layer in image["layers"]:
        assert re.search(rf"MB +(new|reused) +{re.escape(layer['holds'])}", text)
    for check in ("image_format", "image_content", "image_runs"):
        assert re.search(rf"^{check} +passed", text, re.MULTILINE), text
    assert "push" in text.splitlines()[-1]


def test_again_it_is_kept(at_work: Terminal) -> None:
    before = at_work.site.show(at_work.target)
    done = at_work.type("image", at_work.target)
    assert done.returncode == 0, done.stderr
    assert "is what it was" in done.stderr
    assert "not run again" in done.stderr
    assert " new " not in done.stdout
    assert at_work.site.show(at_work.target) == before


def test_show_tells_of_it(at_work: Terminal) -> None:
    text = at_work.type("show", at_work.target).stdout
    assert re.search(rf"^  image +{_DIGEST}$", text, re.MULTILINE)


def test_its_sbom_is_a_file(at_work: Terminal) -> None:
    content = at_work.site.show(at_work.target)
    digest = content["lock"]["digest"].removeprefix("sha256:")
    sbom = json.loads(Path(at_work.site.home, "images", f"{digest}.cdx.json").read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    assert "tool" in {each["name"] for each in sbom["components"]}


def test_a_command_runs_in_it_and_its_exit_code_counts(at_work: Terminal) -> None:
    done = at_work.type(
        "run-image", at_work.target, "--", "python", "-c", "import tool, sys; sys.exit(7)"
    )
    assert done.returncode == 7, done.stderr


@needs_registry
def test_push_names_what_the_registry_has(at_work: Terminal, tmp_path: Path) -> None:
    image = at_work.site.show(at_work.target)["image"]
    with docker_registry(tmp_path / "registry") as host:
        done = at_work.type("push", at_work.target, f"{host}/team/elt")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.endswith(image["digest"]) for line in lines)
    assert lines[0].startswith(f"{host}/team/elt:3.1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("push", "elt"), 2, ("push",)),
        (("push", "elt", "no-registry"), 2, ("no-registry",)),
        (("image", "elt", "--load", "docker"), 9, ("docker",)),
        (("run-image", "--bind", "x", "elt", "--", "true"), 2, ("--bind",)),
    ],
)
def test_what_goes_wrong_is_said(
    at_work: Terminal, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    done = at_work.type(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr[done.stderr.index("elt-env: ") :]
    assert "\n  -> " in message
    assert all(word in message for word in words)


def test_a_registry_that_is_away_leaves_the_image(at_work: Terminal) -> None:
    away = urlsplit(dead_url()).netloc
    done = at_work.type("push", at_work.target, f"{away}/elt")
    assert done.returncode == 4, done.stderr
    assert away in done.stderr
    assert at_work.site.show(at_work.target)["image"] is not None


def test_without_a_lock_there_is_nothing_to_pack(
    tmp_path: Path, shared_python: Channel, index: IndexServer
) -> None:
    terminal = make_terminal(tmp_path / "terminal", shared_python, index)
    done = terminal.type("image", terminal.target)
    assert done.returncode == 2
    assert "elt-env lock" in done.stderr
