"""What packages say of their licences, in prefixes of which only the metadata are there."""

from __future__ import annotations

import json
from email.parser import HeaderParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.licences import SEE, licences, stated_licence
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Package
from tests.support.locks import lock_of, owning, pip_package, python_package

_TEXT = "Permission is hereby granted, free of charge, to any person obtaining a copy " * 9
_MIT = "Classifier: License :: OSI Approved :: MIT License"
_GPL = "Classifier: License :: OSI Approved :: GNU General Public License (GPL)"


def stated(*lines: str) -> str:
    return stated_licence(HeaderParser().parsestr("\n".join(lines) + "\n"))


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: BSD", _GPL], "MIT OR Apache-2.0"),
        (["License: BSD 3-Clause", _MIT], "BSD 3-Clause"),
        (["License: License :: OSI Approved :: MIT License"], "MIT License"),
        (["License: Apache\n        License"], "Apache License"),
        (["License: UNKNOWN", _MIT], "MIT License"),
        (["License:", _MIT], "MIT License"),
        ([_MIT, _GPL], "GNU General Public License (GPL), MIT License"),
        ([_MIT, _MIT, "Classifier: Topic :: Software Development"], "MIT License"),
        ([f"License: {_TEXT}", _MIT], "MIT License"),
        ([f"License: {_TEXT}"], SEE),
        (["License: MIT License\n" + f"        {_TEXT}\n" * 3], SEE),
        (["License-File: LICENSE"], ""),
        ([], ""),
    ],
)
def test_the_most_exact_statement_counts(lines: list[str], licence: str) -> None:
    assert stated("Name: alpha", *lines) == licence


@given(st.text(), st.text())
def test_any_field_gives_one_line(licence: str, classifier: str) -> None:
    found = stated(f"License: {licence}", f"Classifier: License :: {classifier}")
    assert found == " ".join(found.split())


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    """A prefix of a Python and of `alpha` and `bare`, with their metadata alone."""
    python = owning(python_package(), ("owned", "1.0"))
    packages: list[Package] = [python, pip_package("alpha"), pip_package("bare")]
    made = Prefix(tmp_path, lock_of(*packages))
    for name, line in (("alpha", "License: MIT"), ("bare", ""), ("owned", "License: BSD")):
        info = made.site_packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        text = f"Name: {name.title()}\nVersion: 1.0\n{line}\n\nA description.\n"
        (info / "METADATA").write_text(text, encoding="utf-8")
    record(made, "python", {"name": "python", "license": "PSF-2.0"})
    record(made, "tzdata", {"name": "tzdata", "license": None})
    return made


def record(prefix: Prefix, name: str, content: object) -> Path:
    path = prefix.path / "conda-meta" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_every_package_that_states_a_licence_is_named_once(prefix: Prefix) -> None:
    assert licences(prefix) == {("conda", "python"): "PSF-2.0", ("pip", "alpha"): "MIT"}


def test_bytes_that_are_no_text_do_not_matter(prefix: Prefix) -> None:
    metadata = prefix.site_packages / "alpha-1.0.dist-info" / "METADATA"
    metadata.write_bytes(b"Name: alpha\nVersion: 1.0\nLicense: Gr\xfc\xdfe\n")
    assert licences(prefix)["pip", "alpha"] == "Gr\ufffd\ufffde"


@pytest.mark.parametrize("content", [[], {}, "text", None])
def test_a_spoiled_record_is_named(content: object, prefix: Prefix) -> None:
    path = record(prefix, "zlib", content)
    with pytest.raises(IntegrityError, match=r"zlib\.json does not say") as caught:
        licences(prefix)
    assert str(path) in caught.value.problem
    assert "elt-env build elt@3.11" in caught.value.remedy


def test_metadata_that_are_gone_are_named(prefix: Prefix) -> None:
    info = prefix.site_packages / "alpha-1.0.dist-info"
    (info / "METADATA").rename(info / "PKG-INFO")
    with pytest.raises(IntegrityError, match="METADATA does not say"):
        licences(prefix)
