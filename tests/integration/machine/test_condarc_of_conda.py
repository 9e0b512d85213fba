"""Conda's settings and the names of channels are read as conda itself reads them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from elt_env.conda.channels import CONDA_DEFAULTS, ChannelNames, rattler_alias, without_login
from elt_env.machine.condarc import read_conda_settings
from tests.support.real_conda import RealConda, installed_conda

_WORLDS = 150
# Reads what `conda config --show` shows, for many homes in one process.
_SETTINGS = """
import json, os, sys
from conda.base.context import SEARCH_PATH, Context
found = []
for environ in json.load(open(sys.argv[1])):
    os.environ.clear()
    os.environ.update(environ)
    context = Context(SEARCH_PATH)
    found.append({
        "channels": context._channels,
        "channel_alias": context._channel_alias,
        "default_channels": context._default_channels,
        "custom_channels": dict(context._custom_channels),
        "custom_multichannels": {k: list(v) for k, v in context._custom_multichannels.items()},
        "channel_priority": str(context.channel_priority),
        "ssl_verify": context.ssl_verify,
        "proxy_servers": dict(context.proxy_servers),
    })
print(json.dumps(found))
"""
_CHANNELS = """
import json, os, sys
from conda.base.context import reset_context
from conda.models.channel import Channel
os.environ["CONDARC"] = sys.argv[1] + ".yml"
found = []
for settings, names in json.load(open(sys.argv[1])):
    with open(os.environ["CONDARC"], "w") as file:
        json.dump(settings, file)
    reset_context()
    found.append([[url.rstrip("/") for url in Channel(name).base_urls] for name in names])
print(json.dumps(found))
"""
_ALIAS = "https://conda.example.invalid"
_DEFAULTS = list(CONDA_DEFAULTS)
_MARKS = ["", "", "", "  #!final", "  #!top", "  #!bottom", "  # final", " #comment"]
_ITEMS = ["forge", "company", "defaults", "https://h.invalid/a", "file:///x", "$CHAN", "'${CHAN}x'"]
_PLACES = [
    "home/.condarc",
    "home/.conda/.condarc",
    "home/.conda/condarc.d/b.yml",
    "home/.conda/condarc.d/a.yaml",
    "home/.config/conda/.condarc",
    "root/.condarc",
    "root/condarc.d/x.yml",
    "xdg/conda/condarc",
    "prefix/.condarc",
    "named.yml",
]


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> RealConda:
    """The real conda."""
    return installed_conda(tmp_path_factory.mktemp("conda"))


class _Writer:
    """Writes random settings as people write them, marks included."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose

    def text(self) -> str:
        urls = [f"https://m{number}.invalid" for number in range(3)]
        blocks = [
            f"channels:{self._list('  ')}",
            "channels: ~",
            f"channel_alias: {self._choose.choice(urls)}/c{self._mark()}",
            f"default_channels:{self._list('  ')}",
            f"custom_channels:{self._mapping(['company', 'forge', 'a/b'], urls)}",
            f"custom_multichannels:{self._mark()}\n  m1:{self._list('    ')}",
            f"channel_priority: {self._pick(['strict', 'flexible', 'disabled', 'true', 'no'])}",
            f"ssl_verify: {self._pick(['true', 'no', '0', '1', 'truststore', '/etc'])}",
            f"proxy_servers:{self._mapping(['http', 'https', 'https://x.invalid'], urls)}",
        ]
        picked = {each.partition(":")[0]: each for each in blocks if self._choose.random() < 0.5}
        return "\n".join(picked.values()) + "\n"

    def _mark(self) -> str:
        return self._choose.choice(_MARKS)

    def _pick(self, values: Sequence[str]) -> str:
        return self._choose.choice(values) + self._mark()

    def _list(self, indent: str) -> str:
        items = [self._choose.choice(_ITEMS) for _ in range(self._choose.randint(1, 3))]
        if self._choose.random() < 0.25:
            return f" [{', '.join(items)}]{self._mark()}"
        lines = [f"{indent}- {each}{self._mark()}" for each in items]
        return "\n".join([self._mark(), *lines])

    def _mapping(self, names: Sequence[str], urls: Sequence[str]) -> str:
        picked = self._choose.sample(names, self._choose.randint(1, 2))
        return "\n".join([self._mark(), *(f"  {name}: {self._pick(urls)}" for name in picked)])


def _home(root: Path, seed: int) -> dict[str, str]:
    """Write files in some of the places, and return the variables that lead there."""
    choose = random.Random(seed)  # noqa: S311  # no secret
    for place in choose.sample(_PLACES, choose.randint(1, 4)):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_Writer(choose).text())
    environ = {
        "HOME": str(root / "home"),
        "PATH": "/nowhere",
        "CONDA_ROOT": str(root / "root"),
        "XDG_CONFIG_HOME": str(root / "xdg"),
        "CONDA_PREFIX": str(root / "prefix"),
        "CONDARC": str(root / "named.yml"),
        "CHAN": "chan",
    }
    some = {
        "CONDA_CHANNELS": "e1, e2,,forge",
        "CONDA_CHANNEL_ALIAS": "https://env.invalid",
        "CONDA_SSL_VERIFY": "no",
        "CONDA_CHANNEL_PRIORITY": "disabled",
    }
    return environ | {name: text for name, text in some.items() if choose.random() < 0.2}


def _ours(environ: dict[str, str]) -> dict[str, Any]:
    found = read_conda_settings(environ)
    return {
        "channels": list(found.channels) or ["defaults"],
        "channel_alias": found.channel_alias or rattler_alias(),
        "default_channels": list(found.default_channels) or _DEFAULTS,
        "custom_channels": found.custom_channels
        or {"pkgs/pro": CONDA_DEFAULTS[0].removesuffix("/pkgs/main")},
        "custom_multichannels": {
            name: list(listed) for name, listed in found.custom_multichannels.items()
        },
        "channel_priority": found.channel_priority or "flexible",
        "ssl_verify": True if found.ssl_verify is None else found.ssl_verify,
        "proxy_servers": found.proxy_servers,
    }


def test_random_files_say_what_they_say_to_conda(conda: RealConda, tmp_path: Path) -> None:
    environs = [_home(tmp_path / str(seed), seed) for seed in range(_WORLDS)]
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps(environs))
    answers = json.loads(conda.python_code(_SETTINGS, asked))
    for seed, (environ, answer) in enumerate(zip(environs, answers, strict=True)):
        assert _ours(environ) == answer, f"seed {seed}"


_NAMES = [
    *("forge", "company", "company/label/dev", "pkgs/main", "pkgs/r", "pkgs/main/linux-64", "m1"),
    *("defaults", "m1/noarch", "defaults/linux-64", "a", "a/b", "a/b/c", "pkgs/pro", "forge/"),
    *("https://h.invalid/a/", "https://h.invalid/a/linux-64", "https://u:p@h.invalid/t/tok-1/a"),
    *("file:///opt/x", "/opt/x", "https://m1.invalid/conda/company", "https://h.invalid/conda/f"),
]
_URLS = [
    *("https://m1.invalid/conda", "https://m2.invalid", "https://u:pw@m3.invalid/conda/t/tk-123"),
    *(f"{_ALIAS}/sub", "rel/x", _ALIAS),
]


def _world(seed: int) -> dict[str, Any]:
    choose = random.Random(seed)  # noqa: S311  # no secret
    own = choose.sample(["company", "a/b", "a", "forge"], choose.randint(1, 3))
    listed = [choose.choice([*_NAMES[:5], *_URLS]) for _ in range(choose.randint(1, 3))]
    mirror = ["https://m2.invalid/pkgs/main", "https://m2.invalid/pkgs/r"]
    return {
        "channel_alias": choose.choice([_ALIAS, f"{_ALIAS}/c", "https://u:pw@m4.invalid/t/tk-9/c"]),
        "custom_channels": {name: choose.choice(_URLS) for name in own},
        "custom_multichannels": {"m1": listed},
        "default_channels": choose.choice([_DEFAULTS, mirror, ["pkgs/main"]]),
    }


def test_names_stand_for_what_they_stand_for_in_conda(conda: RealConda, tmp_path: Path) -> None:
    worlds = [_world(seed) for seed in range(_WORLDS)]
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps([[each, _NAMES] for each in worlds]))
    answers = json.loads(conda.python_code(_CHANNELS, asked))
    for seed, (world, answer) in enumerate(zip(worlds, answers, strict=True)):
        multi = {**world["custom_multichannels"], "defaults": world["default_channels"]}
        names = ChannelNames(
            without_login(world["channel_alias"]),
            world["custom_channels"],
            {name: tuple(listed) for name, listed in multi.items()},
        )
        assert [list(names.urls(each)) for each in _NAMES] == answer, f"seed {seed}"
