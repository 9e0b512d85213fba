"""The `variables:` of a spec: what a person wants to be set, without secrets."""

from __future__ import annotations

import re

import yaml

from elt_env.package.names import VARIABLE
from elt_env.runtime.credentials import without_credentials
from elt_env.runtime.limits import MOST_TEXT
from elt_env.spec.faults import Fault
from elt_env.spec.marked_yaml import line_of, pairs_of, scalar_of

_SECRET_WORD = re.compile(
    r"apikey|auth|credentials?|keys?|pass(phrase|wd|words?)?|pat|pwd|secrets?|tokens?"
)
_PLACE_WORDS = frozenset(["dir", "file", "filename", "home", "path", "url", "uri"])
# How the tokens of services start that are often in an ELT pipeline's hands, and private keys.
_SECRET_VALUE = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|xox[abprs]-[\w-]{10,}|"
    r"A(?:KIA|SIA)[0-9A-Z]{16}|dapi[0-9a-f]{32}|pypi-[\w-]{16,}|sk-[\w-]{20,}|"
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_LOCAL_PATH = re.compile(r"(?:~|\.{1,2})?/.*|.*\.(?:json|pem|key|p8|p12|pfx|crt|toml|ya?ml)")
_PLAIN = ("", "0", "1", "true", "false", "yes", "no", "on", "off")


def read_variables(
    node: yaml.Node, source: str
) -> tuple[tuple[tuple[str, str], ...], tuple[Fault, ...], tuple[Fault, ...]]:
    """Return names and values sorted by name, what is worth saying, and what is wrong.

    conda exports a name in capitals, so that is the name.
    """
    if not isinstance(node, yaml.MappingNode):
        remedy = "Write it as in: variables: {DBT_PROFILES_DIR: profiles}"
        fault = Fault(source, line_of(node), "'variables' is not a mapping.", remedy)
        return (), (), (fault,)
    found: dict[str, tuple[str, int]] = {}
    warnings: list[Fault] = []
    faults: list[Fault] = []
    for written, line, value in pairs_of(node):
        name, text = written.upper(), scalar_of(value)
        wrong = _fault(name, line, value, found, source)
        if wrong is not None:
            faults.append(wrong)
        elif text is None:
            warnings.append(
                _said(source, line, f"the variable {name} has no value and stays unset.")
            )
        elif is_secret(name, text):
            warnings.append(_secret(name, line, source))
        else:
            found[name] = text, line
            warnings += _changes(written, str(value.value), name, text, line, source)
    pairs = tuple(sorted((name, text) for name, (text, _) in found.items()))
    return pairs, tuple(warnings), tuple(faults)


def _fault(
    name: str, line: int, value: yaml.Node, found: dict[str, tuple[str, int]], source: str
) -> Fault | None:
    if not VARIABLE.fullmatch(name):
        problem, remedy = f"'{name}' cannot be a variable's name.", "Use letters, digits and '_'."
    elif not isinstance(value, yaml.ScalarNode):
        problem = f"the variable {name} is a list or a mapping, and one text is expected."
        remedy = f"Write it as in: {name}: 'text'"
    elif "\0" in str(value.value):
        problem, remedy = f"the variable {name} has a NUL in its value.", "Remove it."
    elif len(str(value.value)) > MOST_TEXT:
        problem = f"the variable {name} has {len(str(value.value))} characters in its value, and "
        problem += f"{MOST_TEXT} are the most that every program can be given."
        remedy = "Keep that text in a file, and name the file."
    elif name in found:
        problem = f"the variable {name} is set on line {found[name][1]} already."
        remedy = "Remove one of the two; conda exports names in capitals."
    else:
        return None
    return Fault(source, line, problem, remedy)


def _changes(  # noqa: PLR0913, PLR0917  # what was written, and what it means
    written: str, before: str, name: str, text: str, line: int, source: str
) -> list[Fault]:
    said = []
    if written != name:
        problem = f"the variable '{written}' is exported as {name}, as conda does."
        said.append(_said(source, line, problem, f"Write {name}."))
    if before != text:
        problem = (
            f"the variable {name} is '{before}' without quotes, which conda exports as {text}."
        )
        said.append(_said(source, line, problem, f"Write {name}: '{before}' to keep it as it is."))
    return said


def _said(source: str, line: int, problem: str, remedy: str = "Nothing has to be done.") -> Fault:
    return Fault(source, line, problem, remedy)


def _secret(name: str, line: int, source: str) -> Fault:
    return Fault(
        source,
        line,
        f"the variable {name} looks like a secret and is left out: locks and images are shared.",
        f"Set it where elt-env is called, as in: export {name}=…",
    )


def is_secret(name: str, value: str) -> bool:
    """Tell whether a variable looks like a secret, by its name or by its value.

    A name with a word such as TOKEN or KEY is one, except where it says that a place is meant or
    its value is a path, as in GOOGLE_APPLICATION_CREDENTIALS=/etc/keys/bigquery.json.
    """
    if without_credentials(value) != value or _SECRET_VALUE.search(value):
        return True
    words = re.split(r"_+", name.lower())
    if not any(map(_SECRET_WORD.fullmatch, words)) or value.lower() in _PLAIN:
        return False
    return words[-1] not in _PLACE_WORDS and not _LOCAL_PATH.fullmatch(value)
