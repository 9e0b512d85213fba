from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elt_env.pip.port import Resolved
from elt_env.pip.uv_answers import read_annotated
from tests.support.locks import names, versions

_INDEX = "https://index.example.invalid/simple"
_HASH = f"    --hash=sha256:{'7a' * 32}"

# As uv 0.13.8 writes it with split annotations, hashes and indexes.
_ANSWER = f"""\
alpha[x]==2.0 \\
{_HASH} \\
    --hash=sha256:{"0d" * 32}
    # via -r requirements.in
    # from {_INDEX}/
Delta_Two==1.0+cpu ; python_version < "4" \\
{_HASH}
    # via
    #   -c constraints.txt
    #   -r requirements.in
    #   family-one
    # from https://me:hunter22@other.example.invalid/simple
gamma==1!1.0 \\
{_HASH}
    # via
    #   -c constraints.txt
    #   alpha[x]
    #   Family_One
    # from {_INDEX}
"""


def test_an_answer_tells_versions_indexes_and_who_needs_what() -> None:
    other = "https://other.example.invalid/simple"
    assert read_annotated(_ANSWER) == (
        Resolved("alpha", "2.0", _INDEX, requested=True, required_by=()),
        Resolved("delta-two", "1.0+cpu", other, requested=True, required_by=("family-one",)),
        Resolved("gamma", "1!1.0", _INDEX, requested=False, required_by=("alpha", "family-one")),
    )


def test_an_answer_to_nothing_is_nothing() -> None:
    assert read_annotated("") == ()


_PACKAGES = st.lists(
    st.builds(
        Resolved,
        name=names(),
        version=versions(),
        index=st.sampled_from([_INDEX, "http://127.0.0.1:9/simple"]),
        requested=st.booleans(),
        required_by=st.sets(names(), max_size=3).map(lambda found: tuple(sorted(found))),
    ),
    unique_by=lambda each: each.name,
)


def _written(package: Resolved) -> str:
    via = ["-r requirements.in"] * package.requested + list(package.required_by)
    lines = [f"{package.name}=={package.version} \\", _HASH]
    if len(via) == 1:
        lines.append(f"    # via {via[0]}")
    elif via:
        lines += ["    # via", *(f"    #   {each}" for each in via)]
    return "\n".join([*lines, f"    # from {package.index}"]) + "\n"


@given(_PACKAGES)
def test_every_answer_is_read_as_it_was_written(packages: list[Resolved]) -> None:
    text = "".join(map(_written, packages))
    assert read_annotated(text) == tuple(sorted(packages, key=lambda each: each.name))
