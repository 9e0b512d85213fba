"""The spec of an adopted lock: the one that is there, or one of what nothing else needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import yaml
from packaging.requirements import Requirement

from elt_env.conda import Solver
from elt_env.errors import SpecError
from elt_env.lock.adopt_needs import roots_of
from elt_env.lock.satisfaction import unsatisfied
from elt_env.lockfile.document import Lock, Package
from elt_env.package.names import normalize
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.spec.direct import DirectRequirement, is_url
from elt_env.spec.document import Spec
from elt_env.spec.markers import applies

_OTHER = "sha256:" + "0" * 64


def spec_text(
    target: Target,
    channels: Sequence[str] = (),
    conda: Iterable[str] = (),
    pip: Iterable[str] = (),
) -> str:
    """Return an environment.yml that asks for this."""
    asked = [*pip]
    content: dict[str, object] = {
        "name": target.environment,
        **({"channels": [*channels]} if channels else {}),
        "dependencies": [f"python={target.python}", *conda, *([{"pip": asked}] if asked else [])],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def conda_roots(packages: Sequence[Package]) -> tuple[str, ...]:
    """Return what of conda's packages no other of them needs, without Python."""
    mine = tuple(each for each in packages if each.manager == "conda")
    return tuple(each for each in roots_of(mine) if each != "python")


def pip_roots(
    packages: Sequence[Package],
    told: Iterable[str],
    directs: Iterable[DirectRequirement],
    extras: Mapping[str, frozenset[str]],
) -> tuple[str, ...]:
    """Return what is to be asked of pip: URLs, what the files tell, and what nothing else needs.

    Args:
        packages: of the whole lock; what conda has is not asked for again.
        told: the requirements that the files say a person made.
        directs: what comes from a URL, which a spec has to name.
        extras: which extras of distributions are asked for.
    """
    mine = tuple(each for each in packages if each.manager == "pip")
    urls = {each.name: str(each) for each in directs}
    names = {each.name for each in mine} - urls.keys()
    asked: dict[str, str] = {}
    for each in map(Requirement, told):
        if normalize(each.name) in names:
            asked.setdefault(normalize(each.name), str(each))
    for name in roots_of(mine):
        some = f"[{','.join(sorted(extras[name]))}]" if extras.get(name) else ""
        if name in names:
            asked.setdefault(name, f"{name}{some}")
    return tuple(line for _, line in sorted({**asked, **urls}.items()))


def shortcomings(lock: Lock, spec: Spec, policy: Policy, conda: Solver) -> Iterator[str]:
    """Yield what of a spec and of the policy a lock does not satisfy, a sentence each."""
    # What the lock says of the spec is the spec's own word, and so every requirement is looked at.
    probe = Lock(**{**vars(lock), "spec_digest": _OTHER})
    yield from unsatisfied(probe, spec, policy, conda.matches)


def require_same_urls(told: Iterable[DirectRequirement], spec: Spec, python: str) -> None:
    """Return when lock files and a spec name the same URLs for what no index has.

    Raises:
        SpecError: they do not.
    """
    found = {each.name: each.origin for each in told}
    asked = {
        each.name: each.origin
        for each in spec.directs
        if applies(Requirement(each.named), python) and is_url(each.url)
    }
    wrong = [
        f"{name} comes from {found.get(name, 'elsewhere')}, and the spec names "
        f"{asked.get(name, 'no URL for it')}"
        for name in sorted({*found, *asked})
        if found.get(name) != asked.get(name)
    ]
    if wrong:
        listed = "\n  ".join(wrong)
        raise SpecError(
            f"{spec.source} names other URLs than what is adopted:\n  {listed}",
            "Write into the pip list of the spec what is adopted, as NAME @ URL.",
        )
