from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elt_env.image.layering import FAMILIES, LARGE, Owner, plan_layers

NAMES = st.from_regex(r"(dagster|dbt|meltano|numpy|a)(-[a-z]{1,4})?", fullmatch=True)
SIZES = st.dictionaries(
    st.builds(Owner, st.sampled_from(["conda", "pip"]), NAMES),
    st.integers(0, 4 * LARGE),
    max_size=40,
)


def places(sizes: dict[Owner, int]) -> dict[Owner, str]:
    return {owner: plan.holds for plan in plan_layers(sizes) for owner in plan.owners}


@given(SIZES)
def test_every_package_is_in_one_layer(sizes: dict[Owner, int]) -> None:
    planned = [owner for plan in plan_layers(sizes) for owner in plan.owners]
    assert sorted(planned) == sorted(sizes)


@given(SIZES)
def test_the_order_of_packages_does_not_matter(sizes: dict[Owner, int]) -> None:
    turned = dict(reversed(list(sizes.items())))
    assert plan_layers(turned) == plan_layers(sizes)


@given(SIZES, st.integers(0, LARGE - 1))
def test_a_new_small_package_moves_no_other(sizes: dict[Owner, int], size: int) -> None:
    more = sizes | {Owner("pip", "zz-new"): size}
    moved = places(more)
    assert {owner: moved[owner] for owner in sizes} == places(sizes)


def test_a_family_shares_a_layer_above_all_others() -> None:
    sizes = {Owner("pip", f"{each}-core"): 3 * LARGE for each in FAMILIES}
    sizes |= {Owner("pip", "dagster"): 1, Owner("pip", "duckdb"): 2 * LARGE}
    held = [plan.holds for plan in plan_layers(sizes)]
    assert held == ["pip: duckdb", "pip: dagster", "pip: dbt", "pip: meltano"]
    assert places(sizes)[Owner("pip", "dagster")] == "pip: dagster"


def test_a_name_that_only_begins_alike_is_no_family() -> None:
    assert places({Owner("pip", "dbtx"): 1})[Owner("pip", "dbtx")].startswith("pip: the rest")


def test_python_is_the_lowest_and_what_is_large_is_alone() -> None:
    sizes = {
        Owner("pip", "certifi"): 1,
        Owner("conda", "python"): 1,
        Owner("conda", "numpy"): LARGE,
        Owner("conda", "six"): 1,
    }
    held = [plan.holds for plan in plan_layers(sizes)]
    assert held[:3] == ["conda: python", "conda: numpy", "conda: the rest"]
    assert len(held) == 4


def test_there_are_never_more_layers_than_runtimes_take() -> None:
    sizes = {Owner("pip", f"p{number}"): LARGE + number for number in range(200)}
    assert len(plan_layers(sizes)) <= 100
