"""The image asset with `push` in the policy, and a registry that is there, refuses, or is away."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import httpx
import pytest

from elt_env.defs import resources
from elt_env.defs.assets import environment_assets
from elt_env.environment.build import ensure_prefix
from elt_env.image import spec as oci
from elt_env.image.oci import registry as registries
from elt_env.image.oci.registry import Registry
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.project.project import Project
from elt_env.store.locks import Store
from tests.support.images import make_root_tar
from tests.support.loopback import Reply, dead_url
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.registry_proxy import FaultProxy
from tests.support.registry_server import docker_registry, needs_registry
from tests.support.sample import silent

pytestmark = needs_registry

REPOSITORY = "team/elt"
IMAGE = dg.AssetKey([ENVIRONMENT, "image"])
_REFUSALS = 100  # more than a push ever asks for


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as host:
        yield host


@pytest.fixture
def proxy(registry: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The registry as the project knows it; nobody waits long before asking it again."""
    monkeypatch.setattr(registries, "Registry", partial(Registry, backoff=0.01))
    monkeypatch.setattr(resources, "_RETRY_SECONDS", 0)
    with FaultProxy(registry) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, proxy: FaultProxy, sample_lock: Lock) -> Project:
    """A project that pushes to the proxy, and whose environment is built."""
    made = make_project(
        tmp_path,
        channels=["https://channel.invalid"],
        index=dead_url(),
        policy={"image-base": str(make_root_tar(tmp_path / "root.tar"))},
        environment={"push": f"{proxy.host}/{REPOSITORY}"},
        pythons=[sample_lock.target.python],
    )
    toolbox = toolbox_of(made)
    toolbox.store.write_lock(sample_lock)
    toolbox.store.set_current(sample_lock.target, sample_lock.digest, sample_lock.locked_at)
    ensure_prefix(sample_lock, toolbox, silent)
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=quiet) as made:
        yield made


def materialize(project: Project, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run the image asset alone; the environment is there."""
    policy = project.policy.environments[ENVIRONMENT]
    definitions = dg.Definitions(
        assets=environment_assets(ENVIRONMENT, policy),
        resources={"project": resources.EltProject(directory=str(project.root))},
    )
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key=policy.pythons[0],
        asset_selection=[IMAGE],
        raise_on_error=False,
    )


def failures(run: dg.ExecuteInProcessResult) -> list[str]:
    """Return what a person reads about each step that failed by itself."""
    events = run.filter_events(lambda each: each.is_step_failure)
    told = [each.step_failure_data.user_failure_data for each in events]
    return [str(each.description) for each in told if each]


def metadata(run: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = [each for each in run.get_asset_materialization_events() if each.asset_key == IMAGE]
    return {name: each.value for name, each in event.materialization.metadata.items()}


def digest_in(registry: str, lock: Lock) -> str | None:
    """Return the digest of what a registry has under the tag of the lock."""
    url = f"http://{registry}/v2/{REPOSITORY}/manifests/{short(lock.digest)}"
    answer = httpx.get(url, headers={"Accept": oci.MANIFEST})
    return oci.describe(answer.content, "").digest if answer.status_code == 200 else None


def test_what_the_registry_has_is_what_the_store_has(
    registry: str,
    proxy: FaultProxy,
    project: Project,
    instance: dg.DagsterInstance,
    sample_lock: Lock,
) -> None:
    run = materialize(project, instance)

    assert run.success, failures(run)
    image = ImageStore(Store(project.local_home)).image(sample_lock.digest)
    assert image is not None
    assert digest_in(registry, sample_lock) == image.digest
    tag = short(sample_lock.digest)
    assert metadata(run)["pushed_to"] == f"{proxy.host}/{REPOSITORY}:{tag}"


@pytest.mark.parametrize(
    ("is_away", "problem"), [(True, "cannot be reached"), (False, "HTTP 403")], ids=["away", "no"]
)
def test_without_the_registry_the_image_stays_and_the_next_run_only_pushes(  # noqa: PLR0917
    is_away: bool,  # noqa: FBT001
    problem: str,
    registry: str,
    proxy: FaultProxy,
    project: Project,
    instance: dg.DagsterInstance,
    sample_lock: Lock,
) -> None:
    if is_away:
        proxy.upstream = dead_url().split("/")[2]
    else:
        proxy.faults.extend([Reply(403, b'{"errors": [{"code": "DENIED"}]}')] * _REFUSALS)

    failed = materialize(project, instance)

    assert not failed.success
    (message,) = failures(failed)
    assert proxy.host in message
    assert problem in message
    images = ImageStore(Store(project.local_home))
    image = images.image(sample_lock.digest)
    assert image is not None
    assert images.layout.intact(image.manifest)
    assert digest_in(registry, sample_lock) is None

    proxy.upstream = registry
    proxy.faults.clear()
    again = materialize(project, instance)

    assert again.success, failures(again)
    assert metadata(again)["outcome"] == "kept: it is what it was"
    assert metadata(again)["new_bytes"] == 0
    assert digest_in(registry, sample_lock) == image.digest
