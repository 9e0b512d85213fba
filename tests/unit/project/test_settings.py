from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.errors import EltEnvError, PolicyError, SpecError
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.project.unlisted import remember
from elt_env.store.local import LocalDocuments

_ELT = """
[tool.elt-env.environments.elt]
spec = "environments/elt.yml"
pythons = ["3.11", "3.12"]
"""
_OWN = EnvironmentPolicy(spec="own.yml", pythons=("3.12",))
_SPEC = "channels: [conda-forge]\ndependencies: [python]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one environment and its spec."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/elt.yml").write_text(_SPEC, encoding="utf-8")
    return _write(tmp_path, _ELT)


def _write(root: Path, text: str) -> Path:
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return root


def _policy(root: Path, text: str) -> Policy:
    return open_project(_write(root, text + _ELT)).policy


def _refused(root: Path, text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        open_project(_write(root, text))
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


def test_keys_are_written_with_hyphens(root: Path) -> None:
    policy = _policy(
        root,
        """
        [tool.elt-env]
        home = "store"
        cooldown = "1 week"
        wheels-only = false
        allow-sdist = ["py-spy"]
        channel-fallback = "host"
        extra-indexes = ["https://host.invalid/simple"]
        """,
    )
    assert policy.home == "store"
    assert policy.cooldown == timedelta(days=7)
    assert not policy.wheels_only
    assert policy.allow_sdist == ("py-spy",)
    assert policy.channel_fallback == "host"
    assert policy.extra_indexes == ("https://host.invalid/simple",)


def test_a_file_with_environments_alone_is_enough(root: Path) -> None:
    assert open_project(root).policy.environments["elt"].pythons == ("3.11", "3.12")


def test_names_of_environments_keep_their_hyphens(root: Path) -> None:
    policy = _policy(
        root,
        """
        [tool.elt-env.environments.dbt-only]
        spec = "dbt.yml"
        pythons = ["3.11"]
        imports-allow = ["vertex_ray"]
        [tool.elt-env.environments.old_style]
        spec = "old.yml"
        pythons = ["3.10"]
        """,
    )
    assert list(policy.environments) == ["dbt-only", "old_style", "elt"]
    assert policy.environments["dbt-only"].imports_allow == ("vertex_ray",)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ELT_ENV_HOME", "/elsewhere", "/elsewhere"),
        ("ELT_ENV_COOLDOWN", "0", timedelta(0)),
        ("ELT_ENV_WHEELS_ONLY", "false", False),
        ("ELT_ENV_ALLOW_SDIST", '["a", "b"]', ("a", "b")),
        ("ELT_ENV_CHANNEL_FALLBACK", "host", "host"),
        ("elt_env_tool_limit", "5 minutes", timedelta(minutes=5)),
    ],
)
def test_a_variable_wins_over_the_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: object
) -> None:
    field = variable.lower().removeprefix("elt_env_")
    table = '[tool.elt-env]\nhome = "file"\ncooldown = "9 days"\nallow-sdist = ["c"]\n'
    assert getattr(_policy(root, table), field) != expected
    monkeypatch.setenv(variable, value)
    assert getattr(_policy(root, table), field) == expected


def test_a_variable_changes_one_key_of_an_environment_and_leaves_the_rest(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_ENVIRONMENTS__ELT__PYTHONS", '["3.13"]')
    elt = open_project(root).policy.environments["elt"]
    assert elt.pythons == ("3.13",)
    assert elt.spec == "environments/elt.yml"


def test_a_variable_reaches_an_environment_with_a_hyphen(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(root, _ELT.replace(".elt]", ".dbt-only]"))
    monkeypatch.setenv("ELT_ENV_ENVIRONMENTS__DBT_ONLY__PROMOTE", "manual")
    assert open_project(root).policy.environments["dbt-only"].promote == "manual"


def test_an_empty_variable_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_ENV_HOME", "")
    assert open_project(root).policy.home == ".elt_env"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[tool.elt-env]\ncooldwn = "3 days"\n' + _ELT, "cooldwn: there is no such key"),
        ("[tool.elt-env]\nwheels-onyl = true\n" + _ELT, "wheels-onyl: there is no such key"),
        ('[tool.elt-env]\ncooldown = "3 dys"\n' + _ELT, "cooldown: write a number and a unit"),
        ("[tool.elt-env]\ncooldown = 3\n" + _ELT, "cooldown: write a number and a unit"),
        ("[tool.elt-env]\nhome = 3\n" + _ELT, "home: Input should be a valid string"),
        ("[tool.elt-env]\n", "environments: it is missing"),
        ("[tool.elt-env]\nenvironments = 3\n", "environments: it is not a table"),
        ("[tool.elt-env.environments]\nelt = 3\n", "environments.elt: it is not a table"),
        (_ELT.replace("spec", "spek"), "environments.elt.spek: there is no such key"),
        (_ELT.replace("pythons", "python"), "environments.elt.pythons: it is missing"),
        (_ELT.replace("3.12", "3.x"), "environments.elt.pythons.1: '3.x' is not a Python minor"),
        (_ELT.replace(".elt]", ".my_Elt]"), "environments.my_Elt: 'my_Elt' is not a name"),
        (_ELT + _ELT.replace(".elt]", ".e-l]") + _ELT.replace(".elt]", ".e_l]"), "told apart"),
        ("[[tool.elt-env]]\n", "'elt-env' in [tool] is not a table"),
        ("[tool]\nelt-env = 3\n", "'elt-env' in [tool] is not a table"),
        ("[tool.elt-env\n", "is not valid TOML"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_with_the_place(
    root: Path, text: str, complaint: str
) -> None:
    error = _refused(root, text)
    assert complaint in error.problem
    assert str(root / "pyproject.toml") in error.problem


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("ELT_ENV_COOLDWN", "3 days", "ELT_ENV_COOLDWN stands for no key"),
        ("ELT_ENV_ENVIRONMENTS__ELT__PYTHON", '["3.11"]', "environments.elt.python"),
        ("ELT_ENV_ENVIRONMENTS__TLE__PROMOTE", "auto", "environments.tle.spec: it is missing"),
        ("ELT_ENV_ALLOW_SDIST", "a,b", '"allow_sdist"'),
        ("ELT_ENV_COOLDOWN", "soon", "cooldown"),
        ("ELT_ENV_WHEELS_ONLY", "perhaps", "wheels-only"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert complaint in _refused(root, _ELT).problem


def test_a_list_in_a_variable_is_shown_how_to_write(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_EXTRA_INDEXES", "https://host.invalid/simple")
    error = _refused(root, _ELT)
    assert """='["a", "b"]'""" in error.remedy
    assert "_Variables" not in error.problem


def test_a_credential_in_the_channel_alias_is_refused_and_not_shown(root: Path) -> None:
    for alias in ("https://me:hunter22@host.invalid", "https://host.invalid/x/t/hunter22"):
        error = _refused(root, f'[tool.elt-env]\nchannel-alias = "{alias}"\n{_ELT}')
        assert "channel-alias: it carries a credential" in error.problem
        assert "hunter22" not in str(error)
        assert "RATTLER_AUTH_FILE" in str(error)


def test_a_project_is_found_from_below(root: Path) -> None:
    below = root / "a/b"
    below.mkdir(parents=True)
    (root / "a/pyproject.toml").write_text("[tool.other]\n", encoding="utf-8")
    assert open_project(below).root == root


def test_the_pyproject_of_others_is_passed_over_whatever_it_holds(root: Path) -> None:
    below = root / "a/b/c"
    below.mkdir(parents=True)
    (root / "a/b/c/pyproject.toml").write_text("broken [", encoding="utf-8")
    (root / "a/b/pyproject.toml").write_bytes(b"\xff [tool.elt-env]")
    (root / "a/pyproject.toml").write_text("tool = 3\n# [tool.elt-env]", encoding="utf-8")
    assert open_project(below).root == root


def test_no_project_here_or_above_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError) as caught:
        open_project(tmp_path)
    assert str(tmp_path) in caught.value.problem
    assert "ELT_ENV_PROJECT" in caught.value.remedy
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path / "missing"))
    with pytest.raises(PolicyError, match="missing"):
        open_project()


def test_a_variable_names_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_ENV_PROJECT", str(root))
    monkeypatch.chdir("/")
    assert open_project().root == root


def test_without_a_variable_the_current_directory_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "environments")
    assert open_project().root == root


@pytest.mark.parametrize(
    ("home", "expected"),
    [("store", "{root}/store"), ("/srv/store", "/srv/store"), ("~/store", "{home}/store")],
)
def test_where_the_store_lies(
    root: Path, monkeypatch: pytest.MonkeyPatch, home: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    project = open_project(_write(root, f'[tool.elt-env]\nhome = "{home}"\n' + _ELT))
    assert project.local_home == Path(expected.format(root=root, home="/home/me"))


def test_a_store_of_nobody_is_refused(root: Path) -> None:
    _write(root, '[tool.elt-env]\nhome = "~nobody-of-that-name/x"\n' + _ELT)
    with pytest.raises(PolicyError, match="~nobody-of-that-name/x"):
        open_project(root)


def _spec_error(project: Project) -> SpecError:
    with pytest.raises(SpecError) as caught:
        project.spec("elt")
    assert caught.value.exit_code == 2
    return caught.value


def test_a_spec_is_read(root: Path) -> None:
    assert open_project(root).spec("elt").channels == ("conda-forge",)


def test_a_missing_spec_is_named_with_the_key_that_names_it(root: Path) -> None:
    (root / "environments/elt.yml").unlink()
    error = _spec_error(open_project(root))
    assert "environments/elt.yml does not exist" in error.problem
    assert str(root) in error.problem
    assert "'spec' in [tool.elt-env.environments.elt]" in error.remedy


def test_a_spec_that_is_a_directory_or_no_text_is_named(root: Path) -> None:
    spec = root / "environments/elt.yml"
    spec.write_bytes(b"\xff\xfe\x00")
    assert "environments/elt.yml cannot be read" in _spec_error(open_project(root)).problem
    spec.unlink()
    spec.mkdir()
    assert "environments/elt.yml cannot be read" in _spec_error(open_project(root)).problem


def test_a_spec_that_excludes_a_listed_python_is_refused(root: Path) -> None:
    text = "channels: [a]\ndependencies: ['python <3.12']\n"
    (root / "environments/elt.yml").write_text(text, encoding="utf-8")
    error = _spec_error(open_project(root))
    assert "excludes Python 3.12" in error.problem
    assert "pythons" in error.remedy


def test_an_unknown_environment_is_answered_with_the_known_ones(root: Path) -> None:
    with pytest.raises(EltEnvError) as caught:
        open_project(root).environment("prod")
    assert isinstance(caught.value, PolicyError)
    assert "'prod'" in caught.value.problem
    assert "elt" in caught.value.remedy


def test_a_directory_without_a_policy_has_safe_defaults(tmp_path: Path) -> None:
    project = open_project(tmp_path, with_policy=False)
    assert (project.root, project.local_home) == (tmp_path, tmp_path / ".elt_env")
    assert project.policy.channel_fallback == "host"
    assert project.policy.cooldown == timedelta(days=3)
    assert project.environments == {}
    with pytest.raises(PolicyError, match="no environment"):
        _ = project.first


def test_variables_count_without_a_policy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_CHANNEL_FALLBACK", "none")
    assert open_project(tmp_path, with_policy=False).policy.channel_fallback == "none"


def test_an_environment_that_is_remembered_is_one_of_the_project(root: Path) -> None:
    (root / "own.yml").write_text(_SPEC, encoding="utf-8")
    for name in ("own", "elt"):
        remember(
            LocalDocuments(root / ".elt_env"),
            name,
            EnvironmentPolicy(spec="own.yml", pythons=("3.12",)),
        )
    project = open_project(root)
    assert project.environment("own").pythons == ("3.12",)
    assert project.spec("own").source == "own.yml"
    # A name in the policy is the policy's.
    assert project.environment("elt").spec == "environments/elt.yml"
    assert list(project.environments) == ["elt", "own"]


def test_what_is_remembered_makes_a_directory_a_project(tmp_path: Path) -> None:
    remember(
        LocalDocuments(tmp_path / ".elt_env"),
        "own",
        EnvironmentPolicy(spec="own.yml", pythons=("3.12",)),
    )
    assert list(open_project(tmp_path).environments) == ["own"]
    with pytest.raises(PolicyError, match=r"No pyproject\.toml"):
        open_project(tmp_path / "below")


def test_where_python_comes_from_is_the_projects_word_unless_an_environment_says_it(
    root: Path,
) -> None:
    own = _ELT.replace("elt]", "own]") + 'python = "conda"\n'
    (root / "pyproject.toml").write_text(f'[tool.elt-env]\npython = "venv"\n{_ELT}{own}')
    policy = open_project(root).policy
    assert [each.python for each in policy.environments.values()] == ["venv", "conda"]


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ("", True),
        ("image = false", False),
        ('python = "venv"', False),
        ('python = "venv"\nimage = true', True),
        ('python = "venv"\npush = "registry.example/elt"', True),
    ],
)
def test_images_are_made_of_what_has_a_python_of_its_own_or_as_is_said(
    keys: str, *, made: bool, root: Path
) -> None:
    (root / "pyproject.toml").write_text(f"[tool.elt-env]\n{_ELT}{keys}\n")
    assert open_project(root).environment("elt").has_image is made


def test_what_is_never_made_cannot_be_pushed(root: Path) -> None:
    text = f'[tool.elt-env]\n{_ELT}image = false\npush = "registry.example/elt"\n'
    assert "'elt' has 'push', and image = false" in _refused(root, text).problem
