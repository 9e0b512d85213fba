from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elt_env.pip.port import Resolved
from elt_env.pip.uv_answers import read_annotated, told_pages
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


# As uv 0.13.8 writes it with RUST_LOG=uv_client::cached_client=debug.
_DIARY = f"""\
DEBUG No cache entry for: {_INDEX}/lost/
DEBUG Found stale response for: {_INDEX}/alpha/
DEBUG Sending revalidation request for: {_INDEX}/alpha/
DEBUG Found modified response for: https://me:hunter22@other.example.invalid/simple/delta-two/
DEBUG Found fresh response for: {_INDEX}/kept/
DEBUG Found fresh response for: {_INDEX}/alpha/
DEBUG Found fresh response for: https://f.example.invalid/alpha-2.0-py3-none-any.whl
Resolved 3 packages in 12ms
error: DEBUG is no level
"""


def test_a_diary_tells_the_pages_and_is_left_out() -> None:
    other = "https://other.example.invalid/simple"
    pages, rest = told_pages(_DIARY)
    assert pages == {
        (_INDEX, "lost"): True,
        (_INDEX, "alpha"): True,
        (_INDEX, "kept"): False,
        (other, "delta-two"): True,
    }
    assert rest == "Resolved 3 packages in 12ms\nerror: DEBUG is no level\n"
    assert told_pages(rest) == ({}, rest)
