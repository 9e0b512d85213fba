"""The licences of what is installed in a prefix, as the packages state them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Manager
from elt_env.runtime.input_files import read_stored_text
from elt_env.runtime.limits import load_json

SEE = "see the distribution"
"""Stands for a licence whose whole text a distribution gives instead of a name."""

_LONGEST = 100  # characters of what can be a name; the short licence texts are longer
_CLASSIFIER = "License :: "
_UNKNOWN = ("", "UNKNOWN")  # what setuptools wrote where nothing was stated


def licences(prefix: Prefix) -> Mapping[tuple[Manager, str], str]:
    """Return the licences of conda's packages and pip's distributions, by manager and name.

    What states none is left out; so are the distributions inside conda's packages.

    Raises:
        IntegrityError: metadata of a package cannot be read.
    """
    return dict(_of_conda(prefix)) | dict(_of_pip(prefix))


def _of_conda(prefix: Prefix) -> Iterator[tuple[tuple[Manager, str], str]]:
    for path in sorted((prefix.path / "conda-meta").glob("*.json")):
        try:
            record = load_json(_read(path, prefix))
            name, licence = record["name"], record.get("license")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(path, prefix) from error
        if licence:
            yield ("conda", str(name)), str(licence)


def _of_pip(prefix: Prefix) -> Iterator[tuple[tuple[Manager, str], str]]:
    mine = {each.name for each in prefix.lock.pip}
    for distribution in prefix.distributions():
        if distribution.name in mine:
            text = _read(distribution.info / "METADATA", prefix)
            licence = stated_licence(HeaderParser().parsestr(text))
            if licence:
                yield ("pip", distribution.name), licence


def stated_licence(metadata: Message) -> str:
    """Return the licence that a distribution's core metadata state, or "".

    That is its License-Expression (PEP 639), else its License, else its classifiers. For a License
    that is a whole text the classifiers stand, and without any, the advice to look at it.
    """
    expression = _field(metadata, "License-Expression")
    licence = _field(metadata, "License")
    if expression:
        return expression
    if licence and len(licence) <= _LONGEST:
        return licence.rpartition(":: ")[2]  # some give a classifier here
    classified = ", ".join(_classified(metadata))
    return classified or (SEE if licence else "")


def _field(metadata: Message, name: str) -> str:
    text = " ".join(str(metadata.get(name, "")).split())
    return "" if text in _UNKNOWN else text


def _classified(metadata: Message) -> list[str]:
    """Return the licences among the classifiers: the last part of each, sorted."""
    every = [" ".join(str(each).split()) for each in metadata.get_all("Classifier") or ()]
    return sorted({each.rpartition(":: ")[2] for each in every if each.startswith(_CLASSIFIER)})


def _read(path: Path, prefix: Prefix) -> str:
    try:
        return read_stored_text(path, errors="replace")
    except OSError as error:
        raise _unreadable(path, prefix) from error


def _unreadable(path: Path, prefix: Prefix) -> IntegrityError:
    return IntegrityError(
        f"{path} does not say what is installed.",
        f"Remove {prefix.path}, then build it again: elt-env build {prefix.lock.target.name}",
    )
