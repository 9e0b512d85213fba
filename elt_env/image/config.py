"""The configuration of an image: how it runs, and its labels."""

from __future__ import annotations

from collections.abc import Sequence

from elt_env.image import source as image_source
from elt_env.image import spec as oci
from elt_env.image.spec import ImageConfig, Layer
from elt_env.lockfile.document import Lock
from elt_env.machine.activation import Activation
from elt_env.machine.environment_variables import read_activation
from elt_env.project.project import Project
from elt_env.store.locks import Store

_USER = "1000:1000"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


LOCK_DIGEST = "elt-env.lock.digest"
"""The annotation that names the lock of an image."""


def manifest_annotations(lock: Lock) -> dict[str, str]:
    """Return what the manifest itself says."""
    return {"elt-env.target": str(lock.target), LOCK_DIGEST: lock.digest}


def image_config(
    lock: Lock, layers: Sequence[Layer], inherited: Sequence[str], project: Project, store: Store
) -> ImageConfig:
    """Return the config of an image of those layers, on a base with those variables.

    Raises:
        PolicyError: SOURCE_DATE_EPOCH is not a number of seconds.
        IntegrityError: what the prefix sets cannot be read.
    """
    created = f"{image_source.source_date():%Y-%m-%dT%H:%M:%SZ}"
    labels = {
        "org.opencontainers.image.title": lock.target.name,
        "org.opencontainers.image.created": created,
        "elt-env.target": str(lock.target),
        LOCK_DIGEST: lock.digest,
        "elt-env.spec.digest": lock.spec_digest,
    }
    revision = image_source.source_revision(project.root)
    if revision:
        labels["org.opencontainers.image.revision"] = revision
    return ImageConfig(
        architecture=oci.architecture(lock.target.platform),
        created=created,
        env=_variables(
            inherited,
            project.policy.image_path,
            read_activation(store.prefix_path(lock)),
        ),
        command=("python",),
        user=_USER,
        working_directory=image_source.PLACE,
        labels=labels,
        diff_ids=tuple(each.diff_id for each in layers),
        holds=tuple(each.holds for each in layers),
    )


def _variables(inherited: Sequence[str], place: str, activation: Activation) -> tuple[str, ...]:
    """Return the variables with which the tools just run, for a user who may write to /tmp.

    What the prefix sets for all that is run from it, as the spec asks, wins.
    """
    project = image_source.PLACE
    fixed = {
        "PATH": ":".join((*activation.path(place), _SYSTEM_PATH)),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    mine = {
        "HOME": "/home/elt",
        "LANG": "C.UTF-8",
        "DBT_PROJECT_DIR": f"{project}/dbt_project",
        "DBT_PROFILES_DIR": f"{project}/dbt_project",
        "DBT_TARGET_PATH": "/tmp/dbt/target",  # noqa: S108  # the image's own
        "DBT_LOG_PATH": "/tmp/dbt/logs",  # noqa: S108
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_PROJECT_ROOT": f"{project}/meltano",
        "MELTANO_SYS_DIR_ROOT": "/tmp/meltano",  # noqa: S108
        "MELTANO_DATABASE_URI": "sqlite:////tmp/meltano.db",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = dict(each.partition("=")[::2] for each in inherited)
    every = before | mine | activation.values(place) | fixed
    return tuple(f"{name}={value}" for name, value in sorted(every.items()))
