"""Which modules their own distribution imports under a condition only."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.proof.optional_modules import OwnImports

_OPTIONAL = (
    "if old:\n    from .airflow2 import Plugin\n",
    "try:\n    import cosmos.plugin.airflow2\nexcept ImportError:\n    pass\n",
    "def load():\n    from cosmos.plugin import airflow2\n",
    "if x:\n    from . import airflow2\n",
)
_NEEDED = (
    "from .airflow2 import Plugin\n",
    "if old:\n    from .airflow2 import Plugin\nfrom cosmos.plugin import airflow2\n",
    "class A:\n    import cosmos.plugin.airflow2\n",
)
_UNKNOWN = (
    "if TYPE_CHECKING:\n    from .airflow2 import Plugin\n",
    "from ..airflow2 import Plugin\nif x:\n    import airflow2\n",
    "no Python, airflow2\n",
)


@pytest.mark.parametrize("source", [*_OPTIONAL, *_NEEDED, *_UNKNOWN])
def test_what_is_imported_under_a_condition_alone_is_optional(source: str, tmp_path: Path) -> None:
    package = tmp_path / "cosmos" / "plugin"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source, encoding="utf-8")
    (package / "airflow2.py").write_text("import airflow.www\n", encoding="utf-8")
    files = ["cosmos/plugin/__init__.py", "cosmos/plugin/airflow2.py", "cosmos/gone.py"]
    assert OwnImports(files, tmp_path).is_optional("cosmos.plugin.airflow2") is (
        source in _OPTIONAL
    )


def test_one_that_needs_it_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text("if x:\n    from a import b\n", encoding="utf-8")
    files = ["a/one.py", "a/two.py"]
    own = OwnImports(files, tmp_path)
    assert own.is_optional("a.b")
    (tmp_path / "a" / "two.py").write_text("from .b import c\n", encoding="utf-8")
    assert not own.is_optional("a.b")


def written(root: Path, modules: dict[str, str]) -> OwnImports:
    for name, source in modules.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source, encoding="utf-8")
    return OwnImports([*modules], root)


def test_what_only_an_optional_one_needs_is_optional_where_that_failed(tmp_path: Path) -> None:
    # As mysql.connector does with its modules in C.
    own = written(
        tmp_path,
        {
            "a/__init__.py": "try:\n    from .fast import x\nexcept ImportError:\n    pass\n",
            "a/fast.py": "from .cursor import y\n",
            "a/cursor.py": "def f():\n    from .fast import x\n",
            "a/needed.py": "from .core import y\n",
            "a/cli.py": "def f():\n    import a.needed\n",
            "a/lone.py": "from .pair import x\n",
            "a/pair.py": "from .lone import x\n",
        },
    )
    assert own.is_optional("a.cursor", {"a.fast", "a.cursor"})
    assert not own.is_optional("a.cursor")
    assert not own.is_optional("a.core", {"a.core"})
    assert not own.is_optional("a.pair", {"a.lone", "a.pair"})


def test_who_imports_a_module_imports_what_it_takes_for_granted(tmp_path: Path) -> None:
    # As databricks.sql does with thrift.transport.
    own = written(
        tmp_path,
        {
            "a/backend.py": "import thrift.transport.TSocket\nfrom . import client\n",
            "a/client.py": "import thrift\nthrift.transport\n",
        },
    )
    assert own.comes_after("a.client", "thrift.transport")
    assert not own.comes_after("a.client", "thrift.protocol")
    assert not own.comes_after("a.nobody", "thrift.transport")
    written(tmp_path, {"a/backend.py": "from . import client\nimport thrift.transports\n"})
    assert not own.comes_after("a.client", "thrift.transport")
