"""Which files of several distributions are worth a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.environment.installed_files import declares_namespace
from elt_env.environment.prefix import Distribution

_EITHER = """\
try:
    import pkg_resources
    pkg_resources.declare_namespace(__name__)
except ImportError:
    import pkgutil
    __path__ = pkgutil.extend_path(__path__, __name__)
"""


@pytest.mark.parametrize(
    ("text", "declares"),
    [
        ("from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n", True),
        ("__path__ = __import__('pkgutil').extend_path(__path__, __name__)", True),
        ("'''A text.'''\n__import__('pkg_resources').declare_namespace(__name__)\n", True),
        (_EITHER, True),
        (
            "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\nx = 1",
            False,
        ),
        (
            "import pkgutil, os\n__path__ = pkgutil.extend_path(__path__, __name__)\nos.abort()",
            False,
        ),
        ("from tool.api import run\n__path__ = extend_path(__path__, __name__)\n", False),
        ("__path__ = [", False),
        ("", False),
    ],
)
def test_a_module_that_declares_a_namespace(text: str, tmp_path: Path, *, declares: bool) -> None:
    path = tmp_path / "__init__.py"
    path.write_text(text)
    assert declares_namespace(path) is declares


def test_a_distribution_tells_what_it_recorded_whether_it_is_there_or_not(tmp_path: Path) -> None:
    info = tmp_path / "a-1.dist-info"
    info.mkdir()
    (info / "RECORD").write_text('gone.py,sha256=abc,3\n"a,b.py",,\na-1.dist-info/RECORD\n')
    found = Distribution("a", "1", info)
    assert found.rows == (
        ("gone.py", "sha256=abc", "3"),
        ("a,b.py", "", ""),
        ("a-1.dist-info/RECORD", "", ""),
    )
    assert found.files == ("gone.py", "a,b.py", "a-1.dist-info/RECORD")
    (info / "RECORD").unlink()
    assert found.files == ()
