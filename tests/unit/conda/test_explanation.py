"""Chains in rattler's explanations; the texts are its own."""

from __future__ import annotations

import pytest

from elt_env.conda.explanation import culprit_chain

NO = "cannot be installed because there are no viable options:"
ANY = "any installable versions previously reported"
DEEP = f"""conda finds no solution for: python =3.13, delta, eps
Cannot solve the request because of: delta * {NO}
└─ delta 1.0 | 2.0 would require
   └─ gamma >=1, which {NO}
      ├─ gamma 1.1 would require
      │  └─ python >=3.12,<3.13.0a0, for which no candidates were found.
      └─ gamma 1.0 would require
         └─ python >=3.11,<3.12.0a0, for which no candidates were found."""
ABI = f"""Cannot solve the request because of: The following packages are incompatible
├─ python 3.13.* can be installed with any of the following options:
│  └─ python 3.13.1
└─ delta * {NO}
   └─ delta 1.0 would require
      └─ gamma >=1, which {NO}
         └─ gamma 1.0 would require
            └─ python_abi 3.11.* *_cp311, which {NO}
               └─ python_abi 3.11 would constrain
                  └─ python 3.11.*, which conflicts with {ANY}"""
CLASH = f"""Cannot solve the request because of: The following packages are incompatible
├─ eps * can be installed with any of the following options:
│  └─ eps 2.0 would require
│     └─ lib >=2, which can be installed with any of the following options:
│        └─ lib 2.0
└─ delta * {NO}
   └─ delta 2.0 would require
      └─ lib <2, which {NO}
         └─ lib 1.0, which conflicts with the versions reported above."""
GONE = f"""Cannot solve the request because of: delta * {NO}
└─ delta 2.0 would require
   └─ gamma *, for which no candidates were found."""


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        (DEEP, ("delta", "gamma 1.1", "python >=3.12,<3.13.0a0")),
        (ABI, ("delta 1.0", "gamma 1.0", "python_abi 3.11.* *_cp311")),
        (CLASH, ("delta 2.0", "lib <2")),
        (GONE, ("delta 2.0", "gamma")),
        (
            "Cannot solve the request because of: No candidates were found for python 3.14.*.",
            ("python 3.14",),
        ),
        ("something else", ()),
        ("", ()),
    ],
)
def test_the_first_way_to_a_culprit(text: str, chain: tuple[str, ...]) -> None:
    assert culprit_chain(text) == chain
