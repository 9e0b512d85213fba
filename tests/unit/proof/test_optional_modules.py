"""Which modules their own distribution imports under a condition only."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.proof.optional_modules import is_optional

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
    assert is_optional("cosmos.plugin.airflow2", files, tmp_path) is (source in _OPTIONAL)


def test_one_that_needs_it_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text("if x:\n    from a import b\n", encoding="utf-8")
    files = ["a/one.py", "a/two.py"]
    assert is_optional("a.b", files, tmp_path)
    (tmp_path / "a" / "two.py").write_text("from .b import c\n", encoding="utf-8")
    assert not is_optional("a.b", files, tmp_path)
