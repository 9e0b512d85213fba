"""Tries out adapters of a prefix's dbt, and writes one JSON line about each to stdout.

A line has `part`, `fault` (None where it works), `note`, `left` (what was left out, or "") and
`seconds`. The interpreter of a prefix runs it, in a directory of its own, with the dbt project as
its argument and the types of the adapters after it; SMOKE_ELSEWHERE has the modules of the standard
library on other platforms, by spaces. Each adapter is looked at without a
connection: its classes and whatever its modules import, inside of functions too; then dbt parses
and compiles the project with a profile of that type. What needs no server, SQLite, is run for real.
"""

import ast
import dataclasses
import gc
import importlib
import importlib.metadata
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

_SERVER = {"host": "127.0.0.1", "user": "smoke", "password": "smoke", "schema": "smoke"}
_USUAL = (*_SERVER, "username", "database", "port")
_HERE = Path.cwd()
_PROFILES: "dict[str, list[dict[str, Any]]]" = {
    # Of several, the first is taken that the adapter has the libraries for.
    "postgres": [{**_SERVER, "port": 5432, "dbname": "smoke"}],
    "redshift": [{**_SERVER, "port": 5439, "dbname": "smoke"}],
    "snowflake": [{**_SERVER, "account": "smoke", "database": "smoke", "warehouse": "smoke"}],
    "bigquery": [{"method": "oauth", "project": "smoke", "dataset": "smoke"}],
    "databricks": [
        {
            "host": "smoke.databricks.example",
            "http_path": "/sql/1.0/warehouses/smoke",
            "token": "smoke",
            "schema": "smoke",
            "catalog": "smoke",
        }
    ],
    "trino": [{"method": "none", **_SERVER, "port": 8080, "database": "smoke"}],
    "clickhouse": [{**_SERVER, "port": 8123}],
    "spark": [
        {"method": method, "host": "127.0.0.1", "schema": "smoke", **more}
        for method, more in (
            ("thrift", {}),
            ("session", {}),
            ("http", {"token": "smoke", "cluster": "smoke"}),
            ("odbc", {"driver": "smoke", "token": "smoke", "endpoint": "smoke"}),
        )
    ],
    "sqlite": [
        {
            "database": "database",
            "schema": "main",
            "schemas_and_paths": {"main": str(_HERE / "smoke.db")},
            "schema_directory": str(_HERE),
        }
    ],
}
_FOR_REAL = {"sqlite"}
_ELSEWHERE = os.environ["SMOKE_ELSEWHERE"].split()


class Fault(Exception):  # noqa: N818  # it is told, not handled
    """What is wrong with an adapter, for a person."""


class _NoConnectionError(Fault):
    """dbt stopped where there is nobody to connect to."""


def main() -> None:
    """Try the adapters one after another."""
    gc.disable()  # what dbt and clients load stays: to search it is a quarter of the time
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # dbt prints
    project = Path(sys.argv[1])
    for kind in sys.argv[2:]:
        start = time.monotonic()
        note, left, fault = "", "", None
        try:
            note, left = _try(kind, project)
        except Fault as error:
            fault = str(error)
        except BaseException as error:  # noqa: BLE001  # libraries may raise anything
            traceback.print_exc()
            fault = _in_a_line(error)
        seconds = round(time.monotonic() - start, 2)
        line = {"part": kind, "fault": fault, "note": note, "left": left, "seconds": seconds}
        answers.write(json.dumps(line) + "\n")
        answers.flush()
    os._exit(0)  # threads that libraries started must not keep the interpreter


def _try(kind: str, project: Path) -> "tuple[str, str]":
    plugin = importlib.import_module(f"dbt.adapters.{kind}").Plugin
    manager = plugin.adapter.ConnectionManager
    clients, optional = _import_clients(kind)
    known = f"{manager.__name__} imports, with {', '.join(clients) or 'no other library'}"
    wants = f"{', '.join(optional)}, which nothing here requires" if optional else ""
    profile, refused = _profile(kind, plugin.credentials)
    if profile is None:
        return known, f"parse and compile ({refused})" + (f"; {wants}" if wants else "")
    done = _dbt(kind, project, profile)
    return f"{known}; {done}", wants


def _import_clients(kind: str) -> "tuple[list[str], list[str]]":
    """Import what the adapter's modules import; return the libraries, and the optional ones.

    Optional is what they only try to import, and what nothing installed brings: that is of an extra
    (`pip check` says that what is required is there). What they import inside of a function fails
    when the first connection is opened, if nobody has tried before.
    """
    brought = importlib.metadata.packages_distributions()
    found: dict[str, bool] = {}
    package = importlib.import_module(f"dbt.adapters.{kind}")
    for place in package.__path__:
        for path in sorted(Path(place).rglob("*.py")):
            for name, is_tried in _imports(ast.parse(path.read_bytes())):
                found[name] = found.get(name, True) and is_tried
    missing = []
    for name, is_tried in sorted(found.items()):
        try:
            importlib.import_module(name)
        except Exception as error:
            is_elsewhere = getattr(error, "name", None) in _ELSEWHERE
            if not (is_tried or is_elsewhere or _is_absent(error, brought)):
                raise Fault(f"it imports {name}: {_in_a_line(error)}") from error
            missing += [] if is_elsewhere else [name]
    own = ("dbt", "dbt_common")
    absent = {name.partition(".")[0] for name in missing}
    libraries = {name.partition(".")[0] for name in found} - absent
    return sorted(libraries - set(sys.stdlib_module_names) - set(own)), sorted(absent)


def _is_absent(error: Exception, brought: Collection[str]) -> bool:
    """Tell whether an import failed for want of a package that nothing installed brings."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    top = (name or "").partition(".")[0]
    return bool(top) and top not in brought and top not in sys.stdlib_module_names


def _imports(node: ast.AST, *, is_tried: bool = False) -> Iterator["tuple[str, bool]"]:
    """Yield the modules that a tree imports, and whether it lives without them."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        nodes: list[ast.AST] = [*node.orelse]
    elif isinstance(node, ast.Try) and node.handlers:
        for statement in node.body:
            yield from _imports(statement, is_tried=True)
        nodes = [*node.handlers, *node.orelse, *node.finalbody]
    else:
        nodes = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import):
        yield from ((each.name, is_tried) for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module, is_tried
    for each in nodes:
        yield from _imports(each, is_tried=is_tried)


def _profile(kind: str, credentials: Any) -> "tuple[dict[str, Any] | None, str]":  # noqa: ANN401
    """Return the first profile that the adapter's credentials take, and why others are refused."""
    refused = ""
    derived = (_derived(credentials, names) for names in (_USUAL, None, ()))
    for each in _PROFILES.get(kind) or derived:
        content = {**each, "type": kind, "threads": 1}
        try:
            values = credentials.translate_aliases(dict(each))
            credentials.validate(values)
            credentials.from_dict(values).hashed_unique_field()
        except Exception as error:  # noqa: BLE001  # each adapter has its own
            refused = refused or _in_a_line(error, 2)
        else:
            return content, refused
    return None, refused


def _derived(credentials: Any, names: "Collection[str] | None") -> "dict[str, Any]":  # noqa: ANN401
    """Return a profile of the fields that must be there, and of others; None for all without value.

    Many adapters have as optional fields what they cannot do without.
    """
    values: dict[str, Any] = {}
    missing = dataclasses.MISSING
    for each in dataclasses.fields(credentials):
        kind = str(each.type)
        if each.default is missing and each.default_factory is missing:
            is_wanted = True
        elif names is None:
            is_wanted = each.default is None and not re.search("(?i)bool|list|dict|tuple", kind)
        else:
            is_wanted = each.name in names
        if each.init and is_wanted:
            number = re.search("int|Port", kind)
            values[each.name] = 1 if number else _SERVER.get(each.name, "smoke")
    return values


def _dbt(kind: str, project: Path, profile: "dict[str, Any]") -> str:
    """Let dbt compile the project with the profile, or build it where that needs no server."""
    place = _HERE / f"dbt-{kind}"
    place.mkdir()
    content = {"smoke": {"target": "smoke", "outputs": {"smoke": profile}}}
    (place / "profiles.yml").write_text(json.dumps(content))  # JSON is YAML
    options = ["--project-dir", str(project), "--profiles-dir", str(place)]
    options += ["--target-path", str(place / "target"), "--log-path", str(place / "logs")]
    if kind in _FOR_REAL:
        return f"dbt build of {_run(['build', *options])} nodes"
    try:
        nodes = _run(["compile", "--no-introspect", "--no-populate-cache", *options])
    except _NoConnectionError:
        # Some connect for whatever they compile.
        _run(["parse", *options])
        return "dbt parse; to compile, it connects"
    return f"dbt compile of {nodes} nodes"


def _run(command: "list[str]") -> int:
    """Let dbt run a command; return how many nodes it dealt with."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke([*command, "--no-version-check", "--no-use-colors"])
    if not result.success:
        kinds = {each.__name__ for each in type(result.exception).__mro__}
        error = _NoConnectionError if "FailedToConnectError" in kinds else Fault
        raise error(f"dbt {command[0]}: {_why(result)}")
    return len(getattr(result.result, "results", ()))


def _why(result: Any) -> str:  # noqa: ANN401
    if result.exception is not None:
        return _in_a_line(result.exception, 5)
    bad = [each for each in result.result.results if str(each.status) in {"error", "fail"}]
    return "; ".join(f"{each.node.name}: {each.message}" for each in bad[:3])


def _in_a_line(error: BaseException, lines: int = 1) -> str:
    text = " ".join(str(error).strip().split("\n")[:lines])
    return f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
