"""Which of the host's sources of packages are those of its own release."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import ToolError
from elt_env.image.bases.debian import sources_of

_OWN = """\
# main
Types: deb
URIs: https://mirror.example.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg
"""
_INLINE = """\
Types: deb deb-src
URIs: https://mirror.example.invalid/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""
_OFF = _OWN + "Enabled: no\n"
_FOREIGN = _OWN.replace("bookworm bookworm-updates", "nodistro")


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def write(apt: Path, name: str, text: str) -> None:
    (apt / "sources.list.d" / name).write_text(text, encoding="utf-8")


def test_stanzas_of_the_release_are_taken_whole(apt: Path) -> None:
    write(apt, "own.sources", f"{_OWN}\n\n{_INLINE}\n{_FOREIGN}\n{_OFF}")
    found = sources_of("bookworm", apt)
    assert found.stanzas == (_OWN.removeprefix("# main\n").strip(), _INLINE.strip())
    assert found.lines == ()
    assert found.suite == "bookworm"


def test_lines_of_the_release_are_taken(apt: Path) -> None:
    own = "deb [signed-by=/k.gpg arch=amd64] https://mirror.example.invalid/debian bookworm main"
    text = (
        f"{own} # ours\n#deb https://x.example.invalid bookworm main\ndeb-src https://y bookworm\n"
    )
    (apt / "sources.list").write_text(text, encoding="utf-8")
    write(apt, "other.list", "deb https://apt.example.invalid bookworm-pgdg main\n")
    write(apt, "other.list.disabled", "deb https://off.example.invalid bookworm main\n")
    assert sources_of("bookworm", apt).lines == (own,)


def test_where_no_source_names_the_release_all_are_taken(apt: Path) -> None:
    write(apt, "own.list", "deb https://mirror.example.invalid/debian testing main\n")
    found = sources_of("bookworm", apt)
    assert found.lines == ("deb https://mirror.example.invalid/debian testing main",)
    assert not found.suite


def test_a_host_without_sources_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no sources of packages"):
        sources_of("bookworm", tmp_path)
