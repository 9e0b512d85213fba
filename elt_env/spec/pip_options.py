"""The options of requirements files, as pip knows them, and what they ask for.

pip reads them with `optparse`, which knows how options may be written: joined or apart, short or
shortened (https://pip.pypa.io/en/stable/reference/requirements-file-format/#supported-options).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from optparse import Option, OptionParser, OptParseError, Values
from typing import NoReturn

from elt_env.runtime.credentials import without_credentials
from elt_env.spec.faults import WrittenError


@dataclass(frozen=True)
class PipOptions:
    """What the options of the lines ask of a resolver and an installer.

    Attributes:
        index_url: the main index, `${NAME}` in its login not yet replaced; None when not named.
        extra_index_urls: further indexes, likewise.
        find_links: URLs, and paths relative to the project, of pages and directories of archives.
        no_index: only `find_links` is asked.
        pre: prereleases are taken too.
        prefer_binary: an older wheel is better than a newer sdist.
        only_binary, no_binary: normalized names, or `:all:`.
        hashes: per normalized name the sha256 digests of which a locked file must have one.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False
    prefer_binary: bool = False
    only_binary: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()


def option_lines(options: PipOptions) -> tuple[str, ...]:
    """Return how the options choose among files, a line each as a requirements file has it.

    Hashes belong to requirements, and places are told apart elsewhere.
    """
    flags = ("no_index", "pre", "prefer_binary")
    return (
        *(f"--only-binary {each}" for each in options.only_binary),
        *(f"--no-binary {each}" for each in options.no_binary),
        *(f"--{each.replace('_', '-')}" for each in flags if getattr(options, each)),
    )


class _Parser(OptionParser):
    """Reads options and raises what is wrong with them."""

    def error(self, msg: str) -> NoReturn:
        raise OptParseError(msg)


def _parser() -> _Parser:
    parser = _Parser(add_help_option=False, usage="")
    for flags, destination in (
        (("-r", "--requirement"), "requirement"),
        (("-c", "--constraint"), "constraint"),
        (("-e", "--editable"), "editable"),
        (("--group",), "group"),
        (("--extra-index-url",), "extra_index_url"),
        (("-f", "--find-links"), "find_links"),
        (("--only-binary",), "only_binary"),
        (("--no-binary",), "no_binary"),
        (("--trusted-host",), "trusted_host"),
        (("--hash",), "hash"),
        (("--use-feature",), "use_feature"),
        (("--config-settings", "-C", "--config-setting"), "config_settings"),
        (("--global-option",), "global_option"),
    ):
        parser.add_option(Option(*flags, dest=destination, action="append", default=[]))
    parser.add_option("-i", "--index-url", "--pypi-url", dest="index_url")
    for flag in ("--no-index", "--pre", "--prefer-binary", "--require-hashes"):
        parser.add_option(flag, dest=flag.strip("-").replace("-", "_"), action="store_true")
    return parser


_REFUSED = {
    "trusted_host": (
        "'--trusted-host' switches off the check of a certificate",
        "Remove it, and name who signed the certificate: SSL_CERT_FILE, or 'cert' in pip.conf.",
    ),
    "use_feature": ("'--use-feature' is for pip alone", "Remove it."),
    "config_settings": (
        "'--config-settings' changes how a wheel is built",
        "Build the wheel with it, put it into a directory, and name that with '--find-links'.",
    ),
    "global_option": (
        "'--global-option' changes how a wheel is built",
        "Build the wheel with it, put it into a directory, and name that with '--find-links'.",
    ),
}
"""Options that are refused: by destination, what is wrong with them and what to do."""


def parse_options(text: str) -> Values:
    """Return the options that a text holds, by destination.

    Raises:
        WrittenError: an option that is not one, or that has no value, or a value too many.
    """
    try:
        words = shlex.split(text)
        options, left = _parser().parse_args(words)
    except ValueError as error:
        raise WrittenError("a quote is not closed", "Close it, or leave the quotes out.") from error
    except OptParseError as error:
        raise _bad_option(text, str(error)) from error
    if left:
        shown = without_credentials(left[0])
        raise WrittenError(f"'{shown}' stands behind the options", "Write it on a line of its own.")
    return options


def refuse_pointless(options: Values) -> None:
    """Return when no option is among them that cannot be honoured.

    Raises:
        WrittenError: one is.
    """
    for destination, (problem, remedy) in _REFUSED.items():
        if getattr(options, destination):
            raise WrittenError(problem, remedy)


def hashes_of(options: Values) -> tuple[str, ...]:
    """Return the sha256 digests of the options behind a requirement.

    Raises:
        WrittenError: another option stands there, or a hash that is no sha256.
    """
    refuse_pointless(options)
    for key, value in vars(options).items():
        if value and key != "hash":
            flag = "--" + key.replace("_", "-")
            raise WrittenError(f"'{flag}' stands behind a requirement", "Give it its own line.")
    digests = []
    for each in options.hash:
        algorithm, _, digest = each.replace("=", ":", 1).partition(":")
        if algorithm != "sha256" or not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
            raise WrittenError(
                f"'--hash={each}' is not a sha256", "Write '--hash=sha256:' and 64 hex digits."
            )
        digests.append(digest.lower())
    return tuple(digests)


def _bad_option(text: str, what: str) -> WrittenError:
    unknown = re.search(r"no such option: (\S+)", what)
    word = unknown[1] if unknown else text.split(maxsplit=1)[0].partition("=")[0]
    if "argument" in what:
        return WrittenError(f"'{word}' has no value", f"Write '{word} VALUE', or remove it.")
    return WrittenError(
        f"'{word}' is not an option of a requirements file",
        "Remove it; -r, -c, --index-url, --extra-index-url, --find-links, --no-index, --pre, "
        "--only-binary, --no-binary, --prefer-binary and --hash are.",
    )
