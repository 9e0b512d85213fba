from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from elt_env.lockfile import dockerfile
from elt_env.lockfile.document import BuiltFrom, Lock
from tests.support.locks import conda_package, lock_of, locks, owning, pip_package, sdist_package

_INSTRUCTIONS = ("# ", "#   ", "ARG ", "FROM ", "USER ", "COPY ", "RUN ", "ENV ", "LABEL ")


@given(locks())
def test_every_line_is_an_instruction(lock: Lock) -> None:
    joined = dockerfile.render(lock).replace("\\\n", "")
    assert all(line.startswith(_INSTRUCTIONS) for line in joined.splitlines())
    assert joined.count("RUN ") == (2 if lock.pip else 1)


def test_variables_are_quoted_and_those_of_several_lines_are_named() -> None:
    variables = (("A", 'a "b" $C \\ d'), ("B", "one\ntwo"))
    text = dockerfile.render(lock_of(conda_package(), variables=variables))
    assert 'ENV A="a \\"b\\" \\$C \\\\ d"\n' in text
    assert "# B is left out: ENV takes one line.\n" in text


def test_pip_of_python_itself_is_run_where_none_is_locked() -> None:
    own = owning(conda_package("pip"), ("pip", "1.0"))
    assert "ensurepip" in dockerfile.render(lock_of(pip_package()))
    assert "ensurepip" not in dockerfile.render(lock_of(own, pip_package()))


def test_what_is_built_is_let_through() -> None:
    assert "--only-binary" in dockerfile.render(lock_of(pip_package()))
    assert "--only-binary" not in dockerfile.render(lock_of(sdist_package("odd")))
    built = BuiltFrom("alpha-1.0-py3-none-any.whl", commit="0" * 40)
    text = dockerfile.render(lock_of(replace(pip_package(), index=None, built=built)))
    assert "--require-hashes" not in text
    assert "--only-binary" not in text
