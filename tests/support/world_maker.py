"""Makes small random worlds: each has some of the things that make joint locks hard."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from packaging.version import Version

from tests.support.worlds import Build, Kind, Policy, Release, Spec, World, named, read

PLAIN = ("1.0", "2.0", "3.0")
_POOLS = (
    ("1.0", "1.0.post1", "2.0rc1", "2.0"),
    ("0.9", "1.9", "1.10"),
    ("2.0", "2.0.1", "1!0.5"),
    ("1.0", "2.0a1", "2.0b2"),
)
_DEV = ("1.0", "2.0.dev1", "2.0a1", "2.0.post1")  # which conda orders otherwise
_LOCAL = ("1.0", "2.0+cpu", "2.0", "3.0+cpu")
_FEATURES = {
    "builds": 0.35,
    "channels": 0.3,
    "several": 0.35,
    "renamed": 0.25,
    "twice": 0.15,
    "metadata": 0.35,
    "odd versions": 0.35,
    "locals": 0.15,
    "yanked": 0.3,
    "refused yanks": 0.15,
    "young": 0.3,
    "ages": 0.4,
    "sdists": 0.25,
    "other platforms": 0.2,
    "requires python": 0.35,
    "extras": 0.4,
    "markers": 0.35,
    "constraints": 0.25,
    "prefer": 0.2,
    "virtual": 0.2,
    "pythons": 0.25,
    "constrains": 0.4,
}
_MARKERS = (
    "python_version < '3.11'",
    "python_version >= '3.11'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32'",
    "python_full_version < '3.11.5'",
    "implementation_name == 'cpython'",
    "python_full_version >= '3.11.5'",
    "platform_machine == 'x86_64' and os_name == 'posix'",
    "platform_system == 'Darwin' or python_version > '3.11'",
)
_NOT_HERE = (">=3.8,<3.11", ">=3.12", ">=3.8,!=3.11.*", ">=3.9,<3.13", "<3.11.5", "~=3.11.0")
_DEPENDS_VIRTUAL = ("__glibc >=2.17", "__unix", "__glibc >=99", "__cuda", "__linux")
_CONSTRAINS_VIRTUAL = ("__glibc >=2.17", "__glibc <2.0", "__cuda >=99")
_SDISTS: tuple[Kind, ...] = ("sdist", "sdist", "both")
_OTHERS: tuple[Kind, ...] = ("other", "other and sdist")
_NO_DISTRIBUTION = ("lib", "duo", "pkg")
_Item = TypeVar("_Item")


class WorldMaker:
    """Makes the world of a seed: dense, so that most versions stand in the way of others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(f"world {seed}")  # noqa: S311  # nothing secret
        self._features = {
            name for name, chance in _FEATURES.items() if self._random.random() < chance
        }
        self._pools: dict[str, tuple[str, ...]] = {}
        self._free = self._random.uniform(0.2, 0.7)

    def make(self) -> World:
        """Return the world."""
        shared = self._names(("a", "b", "c"), 1)
        several = ["duo"] if self._has("several") else []
        carried = ["duo-core", "duo-extra"] if several else []
        if self._has("renamed"):
            several.append("pkg")
            carried.append("dist")
        own = self._names(("lib", "core"), 0)
        tools = self._names(("t1", "t2", "t3"), 1)
        helpers = self._names(("x1", "x2"), 0)
        for name in (*shared, *several, *carried, *own, *tools, *helpers):
            self._pools[name] = self._pool(name)
        packages = [*shared, *several, *own]
        conda = {each: self._builds(each, packages, tools) for each in packages}
        if self._has("builds"):
            conda["abi"] = (Build("3.11", "8_cp311", depends=("python 3.11.*",)),)
        listed = [each for each in (*shared, *carried) if self._chance(0.85)]
        distributions = [*shared, *carried, *helpers, *(["core"] if "core" in own else [])]
        index = {each: self._releases(each, distributions) for each in [*listed, *helpers]}
        index |= {each: self._releases(each, distributions) for each in tools}
        return World(
            self._seed,
            ("3.11.5", "3.11.4") if self._has("pythons") else ("3.11.5",),
            conda,
            index,
            self._spec(conda, index, tools),
            self._policy(tools, [*conda]),
        )

    def _has(self, feature: str) -> bool:
        return feature in self._features

    def _chance(self, chance: float) -> bool:
        return self._random.random() < chance

    def _names(self, names: Sequence[str], least: int) -> list[str]:
        return list(names[: self._random.randint(least, len(names))])

    def _some(self, names: Iterable[_Item], least: int, most: int) -> list[_Item]:
        known = list(names)
        count = min(len(known), self._random.randint(least, most))
        chosen = set(self._random.sample(range(len(known)), count))
        return [each for number, each in enumerate(known) if number in chosen]

    def _pool(self, name: str) -> tuple[str, ...]:
        if self._has("locals") and name in ("x1", "x2", "t1") and self._chance(0.6):
            return _LOCAL
        if self._has("odd versions") and name in ("x2", "t2") and self._chance(0.2):
            return _DEV
        if self._has("odd versions") and self._chance(0.4):
            return self._random.choice(_POOLS)
        return PLAIN

    def _spec(
        self, conda: dict[str, tuple[Build, ...]], index: Mapping[str, object], tools: list[str]
    ) -> Spec:
        asked = self._some([each for each in conda if each != "abi"], 1, 2)
        also = [each for each in index if each not in tools and each not in asked]
        pip = self._some(tools, 1, 3) + (self._some(also, 1, 1) if self._chance(0.15) else [])
        if self._has("twice"):
            asked += self._some(asked, 0, 1)
            pip += self._some(pip, 0, 1)
        return Spec(
            tuple(dict.fromkeys(self._asked_of_conda(each, conda[each]) for each in asked)),
            tuple(dict.fromkeys(self._asked_of_pip(each) for each in pip)),
            tuple(
                self._bound(each, 0.0)
                for each in (self._some(self._pools, 1, 2) if self._has("constraints") else ())
                if each not in conda or conda[each][0].carries.get(each)
            ),
        )

    def _asked_of_conda(self, name: str, builds: tuple[Build, ...]) -> str:
        text = self._conda_bound(name, 0.75)
        if self._has("builds") and self._chance(0.15):
            build = self._random.choice(builds)
            text = f"{name} {build.version} {build.string}"
        if self._has("channels") and self._chance(0.25):
            channel = self._random.choice(builds).channel
            text = f"{channel}::{text}"
        return text

    def _asked_of_pip(self, name: str) -> str:
        extra = "[x]" if self._has("extras") and self._chance(0.5) else ""
        text = self._bound(name, 0.8)
        marker = ""
        if self._has("markers") and self._chance(0.1):
            marker = f"; {self._random.choice(_MARKERS)}"
        return f"{name}{extra}{text.removeprefix(name)}{marker}"

    def _policy(self, tools: list[str], packages: list[str]) -> Policy:
        names = [*tools, *packages]
        prefer = self._some(names, 1, 2) if self._has("prefer") else []
        self._random.shuffle(prefer)
        dated = self._has("young") and self._chance(0.3)
        rc = self._has("odd versions") and self._chance(0.3)
        return Policy(
            self._random.choice(("strict", "flexible", "disabled"))
            if self._has("channels")
            else "strict",
            tuple(prefer),
            tuple(self._some(self._pools, 1, 1)) if rc else (),
            tuple(self._some(self._pools, 1, 4)) if self._has("sdists") else (),
            tuple(self._some(names, 1, 1)) if dated else (),
            "refuse" if self._has("refused yanks") else "take",
        )

    def _bound(self, name: str, free: float) -> str:
        """Return a requirement of pip's half."""
        if self._chance(free):
            return name
        pool = self._pools[name]
        version = self._random.choice(pool)
        public = Version(version).public
        sign = self._random.choice(
            (">=", ">=", "<", "<", "<=", "==", "!=", "!=", ">", "~=", "==*", "!=*", "===", "range")
        )
        if sign == "range":
            low, high = sorted((public, Version(self._random.choice(pool)).public), key=Version)
            return f"{name}>={low},<={high}"
        if sign.endswith("*"):
            return f"{name}{sign[:2]}{Version(version).base_version}.*"
        if sign == "===" or (sign == "==" and self._chance(0.5)):
            return f"{name}=={version}"
        if sign == "~=" and len(Version(version).release) == 1:
            sign = ">="
        return f"{name}{sign}{public}"

    def _conda_bound(self, name: str, free: float) -> str:
        """Return a requirement of conda's half."""
        if self._chance(free):
            return name
        pool = [Version(each).public for each in self._pools[name]]
        version = self._random.choice(pool)
        known = Version(version)
        kinds: list[Callable[[], str]] = [
            lambda: f">={version}",
            lambda: f"<{version}",
            lambda: f"<{version}",
            lambda: f"<={version}",
            lambda: f"=={version}",
            lambda: f"!={version}",
            lambda: f">{version}",
            lambda: version,
            lambda: f"{version}|{self._random.choice(pool)}",
        ]
        if not known.is_prerelease and not known.is_postrelease:
            kinds += [lambda: f"={version}", lambda: f"{version}.*", lambda: f"~={version}"]
            kinds.append(lambda: f"!={version}.*")
        return f"{name} {self._random.choice(kinds)()}"

    def _versions(self, name: str) -> list[str]:
        pool = self._pools[name]
        return self._some(pool, 1 if self._chance(0.3) else 2, len(pool))

    def _builds(self, name: str, packages: list[str], tools: list[str]) -> tuple[Build, ...]:
        found = []
        for version in self._versions(name):
            first = self._build(name, version, packages, tools)
            found.append(first)
            if self._has("builds") and self._chance(0.4):
                found.append(self._variant(first, name, packages, tools))
        if self._has("channels"):
            found = [replace(each, channel=int(self._chance(0.5))) for each in found]
        unique = {(each.version, each.string, each.channel): each for each in found}
        return tuple(unique.values())

    def _build(self, name: str, version: str, packages: list[str], tools: list[str]) -> Build:
        rest = [each for each in packages if each != name]
        depends = [self._conda_bound(each, self._free) for each in self._some(rest, 0, 2)]
        constrains: list[str] = []
        if self._has("constrains"):
            # Solvers do not agree on what bounds say of local versions.
            plain = [each for each in (*rest, *tools) if self._pools[each] is not _LOCAL]
            bounds = [self._conda_bound(each, 0.0) for each in self._some(plain, 0, 1)]
            asked = {named(each) for each in depends}
            constrains += [each for each in bounds if named(each) not in asked]
        if self._has("virtual") and self._chance(0.3):
            depends.append(self._random.choice(_DEPENDS_VIRTUAL))
        if self._has("virtual") and self._chance(0.3):
            constrains.append(self._random.choice(_CONSTRAINS_VIRTUAL))
        if self._has("pythons") and self._chance(0.25):
            depends.append(
                self._random.choice(("python <3.11.5", "python 3.11.5", "python >=3.12"))
            )
        carries = self._carries(name, version)
        native = self._chance(0.3)
        if carries and not any(named(each) == "python" for each in depends):
            depends.append("python >=3.11,<3.12" if native else "python >=3.8")
        return Build(
            version,
            "0",
            0,
            tuple(depends),
            tuple(constrains),
            carries,
            {each: self._metadata(each, depends) for each in carries},
            {each: self._extras(each, rest) for each in carries} if self._has("extras") else {},
            self._age(),
            native=native,
        )

    def _variant(self, first: Build, name: str, packages: list[str], tools: list[str]) -> Build:
        """Return another build of the same version."""
        other = self._build(name, first.version, packages, tools)
        kind = self._random.choice(("string", "number", "all"))
        if kind == "string":
            return replace(first, string="1", age=self._age())
        if kind == "number":
            pythonic = [each for each in first.depends if each.startswith("python ")]
            rest = [each for each in other.depends if not each.startswith("python ")]
            depends = (*rest, *pythonic)
            return replace(first, string="1", number=1, depends=depends, age=self._age())
        return replace(other, string="py311_1", number=self._random.choice((0, 1)))

    def _carries(self, name: str, version: str) -> dict[str, str]:
        if name == "lib":
            return {}
        if name == "duo":
            both = {"duo-core": f"{version}.80" if version in PLAIN else version}
            if self._chance(0.7):
                both["duo-extra"] = self._random.choice(self._pools["duo-extra"])
            return both
        if self._has("metadata") and self._chance(0.1):
            return {}
        if name == "pkg":
            return {"dist": f"{version}.80" if version in PLAIN and self._chance(0.7) else version}
        if self._has("locals") and version in PLAIN and self._chance(0.3):
            return {name: f"{version}+cpu"}
        return {name: version}

    def _metadata(self, name: str, depends: list[str]) -> tuple[str, ...]:
        """Return what a conda package's own METADATA asks for, near to what the package needs."""
        found = []
        for each in depends:
            other = named(each)
            known = other in self._pools and other not in (*_NO_DISTRIBUTION, name)
            if known and self._chance(0.5):
                found.append(self._bound(other, 0.4) if self._has("metadata") else other)
        if self._has("metadata") and self._chance(0.15):
            found.append(self._bound(self._random.choice([*self._pools]), 0.4))
        return tuple(each for each in found if read(each).name not in (*_NO_DISTRIBUTION, name))

    def _extras(self, name: str, others: list[str]) -> dict[str, tuple[str, ...]]:
        known = [each for each in (*others, "x1") if each in self._pools]
        names = [each for each in known if each not in (*_NO_DISTRIBUTION, name)]
        lines = [self._with_extra(self._bound(each, 0.3)) for each in self._some(names, 0, 1)]
        if self._has("markers") and self._chance(0.3):
            lines = [f"{each}; {self._random.choice(_MARKERS)}" for each in lines]
        if self._chance(0.3):
            return {"x": (f"{name}[y]",), "y": tuple(lines)}
        return {"x": tuple(lines)}

    def _with_extra(self, line: str) -> str:
        if not self._chance(0.3):
            return line
        end = next((n for n, each in enumerate(line) if each in "<>=!~"), len(line))
        return f"{line[:end]}[x]{line[end:]}"

    def _age(self) -> int:
        if self._has("young") and self._chance(0.12):
            return 1
        return self._random.choice((10, 40, 41, 400, 2000)) if self._has("ages") else 1000

    def _releases(self, name: str, others: list[str]) -> tuple[Release, ...]:
        return tuple(self._release(name, each, others) for each in self._versions(name))

    def _release(self, name: str, version: str, others: list[str]) -> Release:
        rest = [each for each in others if each != name and each in self._pools]
        requires = [self._bound(each, self._free) for each in self._some(rest, 0, 2)]
        if self._has("extras"):
            requires = [self._with_extra(each) for each in requires]
        if self._has("markers") and requires and self._chance(0.4):
            requires[0] += f"; {self._random.choice(_MARKERS)}"
        bound = None
        if self._has("requires python") and self._chance(0.2):
            bound = self._random.choice(_NOT_HERE)
        files: Kind = "wheel"
        if self._has("sdists") and self._chance(0.4):
            files = self._random.choice(_SDISTS)
        elif self._has("other platforms") and self._chance(0.25):
            files = self._random.choice(_OTHERS)
        return Release(
            version,
            tuple(requires),
            self._extras(name, rest) if self._has("extras") else {},
            bound,
            yanked=self._has("yanked") and self._chance(0.12),
            age=self._age(),
            files=files,
        )
