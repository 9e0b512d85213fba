from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.settings import open_project
from elt_env.report.settings import Setting, settings_of, to_text
from tests.support.project import make_project

_INDEX = "https://packages.example.invalid/simple"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose policy names an index only."""
    make_project(tmp_path / "project", channels=["forge"], index=_INDEX)
    return tmp_path / "project"


def _found(root: Path, environment: str | None = None) -> dict[str, Setting]:
    return {each.name: each for each in settings_of(open_project(root), environment)}


def test_every_key_of_the_policy_is_told(root: Path) -> None:
    names = {name.replace("_", "-") for name in Policy.model_fields} - {"environments"}
    own = {f"environments.elt.{name.replace('_', '-')}" for name in EnvironmentPolicy.model_fields}
    assert names | own <= _found(root).keys()


def test_a_value_comes_from_the_file_a_variable_or_is_the_default(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_COOLDOWN", "2 weeks")
    monkeypatch.setenv("ELT_ENV_ENVIRONMENTS__ELT__PROMOTE", "manual")
    monkeypatch.setenv("ELT_ENV_BUSY_LIMIT", "")
    found = _found(root)
    file = str(root / "pyproject.toml")
    assert found["index"] == Setting("index", _INDEX, file)
    assert found["warehouse"] == Setting("warehouse", value=False, source=file)
    assert found["cooldown"] == Setting("cooldown", "2 weeks", "ELT_ENV_COOLDOWN")
    assert found["busy-limit"] == Setting("busy-limit", "30 minutes", "default")
    assert found["environments.elt.promote"].source == "ELT_ENV_ENVIRONMENTS__ELT__PROMOTE"
    assert found["environments.elt.pythons"] == Setting("environments.elt.pythons", ["3.11"], file)
    assert found["environments.elt.installer"].source == "default"


def test_the_spec_counts_for_its_environment(root: Path) -> None:
    spec = root / "environments" / "elt.yml"
    text = spec.read_text() + "- pip:\n  - --extra-index-url https://more.example.invalid/simple\n"
    spec.write_text(text)
    assert _found(root, "elt")["channels"] == Setting("channels", ["forge"], str(spec))
    assert _found(root)["channels"].value == ["conda-forge"]
    assert _found(root)["channels"].source == "the default of the policy"
    assert _found(root, "elt")["extra-index-url"].source == str(spec)


def test_conda_s_settings_count_where_the_policy_is_silent(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rc = tmp_path / "rc.yml"
    rc.write_text(
        "channels: [company]\n"
        "channel_alias: https://me:sesame@mirror.example.invalid/t/tk-1/conda\n"
        "custom_channels: {x: 'https://me:sesame@own.example.invalid'}\n"
        "channel_priority: flexible\n"
        "custom_multichannels: {ours: [a, b]}\n"
    )
    monkeypatch.setenv("CONDARC", str(rc))
    monkeypatch.setenv("CONDA_CHANNEL_PRIORITY", "disabled")
    found = _found(root)
    assert found["channels"] == Setting("channels", ["company"], str(rc))
    alias = "https://mirror.example.invalid/conda"
    assert found["channel-alias"] == Setting("channel-alias", alias, str(rc))
    assert found["channel-priority"].source == "CONDA_CHANNEL_PRIORITY"
    assert found["custom_multichannels.ours"].value == ["a", "b"]
    assert found["default_channels"].source == "default"
    assert "sesame" not in to_text(found.values())
    monkeypatch.setenv("ELT_ENV_CHANNEL_ALIAS", "https://policy.example.invalid")
    changed = _found(root)["channel-alias"]
    assert (changed.value, changed.source) == (
        "https://policy.example.invalid",
        "ELT_ENV_CHANNEL_ALIAS",
    )


def test_secrets_are_masked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_ENV_INDEX", "https://me:sesame@packages.example.invalid/simple")
    monkeypatch.setenv("ELT_ENV_EXTRA_INDEXES", '["https://me:sesame@more.example.invalid/x"]')
    monkeypatch.setenv("ELT_ENV_NOTIFY_WEBHOOK", "https://chat.example.invalid/hooks/sesame")
    text = to_text(_found(root).values())
    assert "sesame" not in text
    assert "https://chat.example.invalid/***" in text
    assert "https://***@packages.example.invalid/simple" in text


def test_certificates_and_proxies(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rc = tmp_path / "rc.yml"
    rc.write_text("ssl_verify: false\nproxy_servers: {https: 'http://me:sesame@proxy.invalid:1'}\n")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("CONDARC", str(rc))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/company.pem")
    found = settings_of(open_project(root))
    certificates = [(each.value, each.source) for each in found if each.name == "certificates"]
    assert certificates == [
        ("/etc/company.pem", "REQUESTS_CA_BUNDLE"),
        ("those of the system", "default"),
        ("checked all the same; ssl_verify: false is not followed", str(rc)),
    ]
    proxy = next(each for each in found if each.name == "https_proxy")
    assert (proxy.value, proxy.source) == ("http://***@proxy.invalid:1", str(rc))


def test_a_file_of_conda_that_cannot_be_read_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rc.yml").write_text("channels: [a")
    monkeypatch.setenv("CONDARC", str(tmp_path / "rc.yml"))
    assert str(tmp_path / "rc.yml") in str(_found(root)["ignored"].value)


def test_the_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_ENV_PROJECT", str(root))
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example.invalid/simple")
    text = CliRunner().invoke(main, ["show", "--settings"])
    assert text.exit_code == 0
    assert f"{_INDEX}  ({root}/pyproject.toml)" in text.output
    answer = CliRunner().invoke(main, ["show", "elt", "--settings", "--json"])
    listed = json.loads(answer.output)["settings"]
    assert {"name": "channels", "value": ["forge"], "source": f"{root}/environments/elt.yml"} in (
        listed
    )
    assert CliRunner().invoke(main, ["show"]).exit_code == 2
