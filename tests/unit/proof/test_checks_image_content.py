"""The check that an image holds nothing that it must not hold, with planted faults."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.image.oci.layout import Layout
from elt_env.machine.process import unheard
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.image import ImageUnderTest
from elt_env.proof.checks.image_content import image_content
from elt_env.tools import Tools
from tests.support.layouts import (
    USERS,
    Entry,
    a_device,
    a_directory,
    a_file,
    a_symlink,
    add_image,
    add_layer,
)
from tests.support.locks import lock_of
from tests.support.project import make_project, toolbox_of

_SECRET = "pa55-w0rd/of index"  # noqa: S105  # made up
_KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\n" + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlq\n" * 4
)

# As a distribution has them.
_BASE: list[Entry] = [
    *USERS,
    a_directory("tmp", 0o1777),
    a_directory("var/mail", 0o2775, gid=8),
    a_file("usr/bin/su", b"\x7fELF", 0o4755),
    a_file("usr/lib/libtls.so", b"\x7fELF\0" + _KEY),
    a_device("dev/null"),
]


@pytest.fixture
def toolbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setenv("HOME", str(tmp_path / "people" / "ann"))
    index = "https://ann:pa55-w0rd%2Fof%20index@packages.example.invalid/simple"
    return toolbox_of(
        make_project(tmp_path / "project", channels=["https://c.invalid"], index=index)
    )


Look = Callable[..., Finding]


@pytest.fixture
def look(tmp_path: Path, toolbox: Tools) -> Look:
    def check(*entries: Entry, base: list[Entry] = _BASE) -> Finding:
        layout = Layout(tmp_path / "oci")
        layers = [
            add_layer(layout, base, holds="base"),
            add_layer(layout, [a_directory("opt/elt"), *entries], holds="all"),
        ]
        manifest = add_image(layout, layers, env=("HOME=/home/elt", "PATH=/opt/elt/bin:/bin"))
        prefix = Prefix(tmp_path / "project/.elt_env/prefixes/elt@3.11-1", lock_of())
        return image_content(ImageUnderTest(prefix, manifest, layout), toolbox, unheard)

    return check


def test_a_clean_image_on_a_distribution_passes(look: Look) -> None:
    found = look(
        a_directory("opt/elt/bin"),
        a_file("opt/elt/bin/dbt", b"#!/opt/elt/bin/python\n", 0o755),
        a_file("opt/elt/lib/empty"),
        a_file("opt/elt/pip.conf", b"[global]\nindex-url = https://a.example.invalid/simple\n"),
        a_file("opt/elt/config.json", b'{"author": "ann"}'),
        a_file("opt/elt/keys.py", b'MARK = "-----BEGIN PRIVATE KEY-----"\n' + b"x = 1\n" * 30),
        a_symlink("opt/elt/bin/python3", "python"),
        a_file("opt/elt-project/dbt_project/dbt_project.yml", b"name: a\n"),
    )
    assert found.status == "passed", found.detail
    assert "2 set-id programs and devices, all the base's" in found.detail
    assert "looked for: the project" in found.log
    assert _SECRET not in found.log


def test_a_place_of_the_building_machine_is_named(look: Look, tmp_path: Path) -> None:
    place = f"{tmp_path}/project/.elt_env/prefixes/elt@3.11-1/bin/python"
    found = look(a_file("opt/elt/bin/dbt", f"#!{place}\n".encode(), 0o755))
    assert found.status == "failed"
    assert found.detail.startswith("/opt/elt/bin/dbt (layer 2, all) holds the project, ")


@pytest.mark.parametrize("inside", ["project/environments", "people/ann/.cache/uv"])
def test_it_is_found_in_bytecode_too(look: Look, tmp_path: Path, inside: str) -> None:
    code = compile("x = 1", f"{tmp_path}/{inside}/x.py", "exec")
    found = look(a_file("opt/elt/__pycache__/x.cpython-311.pyc", bytes(16) + marshal.dumps(code)))
    assert found.status == "failed"
    assert "/opt/elt/__pycache__/x.cpython-311.pyc (layer 2, all) holds the " in found.detail


def test_it_is_found_in_links_and_across_pieces(look: Look, tmp_path: Path) -> None:
    project = str(tmp_path / "project")
    far = b"x" * ((8 << 20) - 10) + project.encode() + b"/more"
    found = look(a_symlink("opt/elt/link", f"{project}/x"), a_file("opt/elt/large", far))
    assert found.status == "failed"
    first, second = found.detail.splitlines()
    assert first.startswith("/opt/elt/link (layer 2, all) links to the project")
    assert second.startswith("/opt/elt/large (layer 2, all) holds the project")


def test_a_longer_name_is_another_place(look: Look, tmp_path: Path) -> None:
    found = look(a_file("opt/elt/a", f"{tmp_path}/project2 {tmp_path}/project-b".encode()))
    assert found.status == "passed", found.detail


def test_what_the_image_names_itself_is_no_trace(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/elt")
    assert look(a_file("opt/elt/a", b"/home/elt/.dbt")).status == "passed"


@pytest.mark.parametrize(
    "text",
    [
        f"password = {_SECRET}",
        "https://ann:pa55-w0rd%2Fof%20index@packages.example.invalid/simple/a.whl",
    ],
)
def test_credentials_of_an_index_are_named_and_not_told(look: Look, text: str) -> None:
    found = look(a_file("opt/elt/a.json", text.encode()))
    assert found.status == "failed"
    assert "for https://packages.example.invalid/simple" in found.detail
    assert "pa55" not in found.detail + found.log


def test_values_of_secret_variables_are_named_and_not_told(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "correct horse")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "short")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/opt/elt/bin")
    found = look(a_file("opt/elt/a", b"correct horse"), a_file("opt/elt/b", b"short /opt/elt/bin"))
    assert found.detail == (
        "/opt/elt/a (layer 2, all) holds the value of the variable WAREHOUSE_PASSWORD"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("root/.netrc", b"machine a login b password c"),
        ("home/elt/.pypirc", b"[pypi]\npassword = c\n"),
        ("etc/pip.conf", b"[global]\nindex-url = https://a:b@c.example.invalid/simple\n"),
        ("root/.docker/config.json", b'{"auths": {"r": {"auth": "YTpi"}}}'),
        ("opt/elt-project/id_ed25519", b""),
    ],
)
def test_credential_files_are_named(look: Look, name: str, text: bytes) -> None:
    found = look(a_file(name, text))
    assert found.status == "failed"
    assert found.detail == f"/{name} (layer 2, all) holds credentials"


def test_a_private_key_is_a_fault_and_a_package_s_own_a_warning(look: Look) -> None:
    found = look(a_file("opt/elt-project/key.pem", _KEY))
    assert found.status == "failed"
    assert found.detail == "/opt/elt-project/key.pem (layer 2, all) holds a private key"
    found = look(a_file("opt/elt/lib/tornado/test/test.key", _KEY))
    assert found.status == "warned"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (a_file("opt/elt/a", mode=0o666), "has mode 666: not only root can write it"),
        (a_file("opt/elt/a", mode=0o664), "has mode 664: not only root can write it"),
        (a_directory("opt/elt/a", 0o777), "has mode 777: not only root can write it"),
        (a_directory("opt/elt/a", 0o700), "has mode 700: not everybody can read it"),
        (a_file("opt/elt/a", mode=0o600), "has mode 600: not everybody can read it"),
        (a_file("opt/elt/a", uid=1000), "belongs to 1000:0, not to root"),
        (a_file("opt/elt-project/a", gid=1000), "belongs to 0:1000, not to root"),
        (a_file("opt/elt/a", mode=0o4755), "has mode 4755: it runs as its owner or group"),
        (a_file("usr/bin/a", mode=0o2755), "has mode 2755: it runs as its owner or group"),
        (a_device("dev/mine"), "is a device"),
        (a_file("etc/a", mode=0o646), "has mode 646: everybody can write it"),
        (a_directory("srv/a", 0o777), "has mode 777: everybody can write it"),
    ],
)
def test_owners_and_modes_are_sane(look: Look, entry: Entry, fault: str) -> None:
    found = look(entry)
    assert found.status == "failed"
    assert found.detail == f"/{entry[0].name} (layer 2, all) {fault}"


def test_what_everybody_can_write_in_the_base_is_a_fault(look: Look) -> None:
    found = look(base=[*_BASE, a_file("etc/open", mode=0o666)])
    assert found.detail == "/etc/open (layer 1, base) has mode 666: everybody can write it"


def test_a_damaged_layer_is_a_failed_check(look: Look, tmp_path: Path) -> None:
    look()
    for blob in (tmp_path / "oci" / "blobs" / "sha256").iterdir():
        if blob.read_bytes().startswith(b"\x28\xb5\x2f\xfd"):
            blob.write_bytes(b"damaged")
            break
    layout = Layout(tmp_path / "oci")
    manifest = layout.find("test")
    assert manifest is not None
    prefix = Prefix(tmp_path, lock_of())
    toolbox = toolbox_of(make_project(tmp_path / "p", channels=["https://c.invalid"], index=""))
    found = image_content(ImageUnderTest(prefix, manifest, layout), toolbox, unheard)
    assert found.status == "failed"
    assert "is damaged" in found.detail
