from __future__ import annotations

import pytest

from elt_env.conda.host_channel.archive import PLACEHOLDER
from elt_env.conda.host_channel.wheel_package import entry_point_script, relocatable_script
from elt_env.python.entry_points import EntryPoint, parse_entry_points


def test_entry_points_are_read_with_their_case_and_without_extras() -> None:
    text = """
[console_scripts]
zed = pkg.cli:main
Able = pkg:Group.run [extra]

[gui_scripts]
win = pkg.gui:main

[pytest11]
other = pkg.plugin
"""
    assert [str(each) for each in parse_entry_points(text)] == [
        "Able = pkg:Group.run",
        "win = pkg.gui:main",
        "zed = pkg.cli:main",
    ]


@pytest.mark.parametrize(
    "text",
    ["no section", "[console_scripts]\nx = module", "[console_scripts]\n../x = module:main"],
)
def test_what_is_not_an_entry_points_file_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"'x = module'|'\.\./x|section"):
        parse_entry_points(text)


def test_a_generated_script_is_python_and_starts_with_the_placeholder() -> None:
    text = entry_point_script(EntryPoint("x", "pkg.cli", "Group.run")).decode()
    compile(text, "x", "exec")
    assert f'"{PLACEHOLDER}/bin/python"' in text
    assert "from pkg.cli import Group\n" in text
    assert "sys.exit(Group.run())" in text


@pytest.mark.parametrize("shebang", [b"#!python\n", b"#!python -E\r\n", b"#!pythonw\n"])
def test_a_wheels_python_script_gets_the_launcher(shebang: bytes) -> None:
    changed = relocatable_script(shebang + b"print(1)\n")
    compile(changed, "x", "exec")
    assert changed.startswith(b"#!/bin/sh\n")
    assert changed.endswith(b"\nprint(1)\n")


@pytest.mark.parametrize("content", [b"#!/bin/sh\necho\n", b"\x7fELF", b""])
def test_any_other_script_stays_as_it_is(content: bytes) -> None:
    assert relocatable_script(content) == content


def test_the_placeholder_is_as_long_as_conda_allows() -> None:
    assert len(PLACEHOLDER) == 255
