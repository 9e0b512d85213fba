"""The list of commands says of each what its own help says, whole."""

from __future__ import annotations

import click
import pytest

from elt_env.cli import COMMANDS, main

_CONTEXT = click.Context(main)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_line_of_the_list_is_the_first_sentence_of_the_help(name: str) -> None:
    command = main.get_command(_CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").partition("\n\n")[0] == COMMANDS[name][1]
    assert "Example" in (command.help or "")


def test_no_line_of_the_list_is_cut_off_or_wrapped() -> None:
    text = main.get_help(click.Context(main, info_name="elt-env", terminal_width=80))
    for name, (_, line) in COMMANDS.items():
        assert any(each.split(None, 1) == [name, line] for each in text.splitlines())


def test_an_unknown_command_is_named() -> None:
    assert main.get_command(_CONTEXT, "frobnicate") is None
