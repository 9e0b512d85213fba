"""Slack and mail for failed runs, and a file of metrics: what others learn of the project."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import dagster as dg

from elt_env.defs.automation import at_first
from elt_env.defs.run_tags import TRIGGER
from elt_env.errors import EltEnvError, PolicyError
from elt_env.package.names import REFERENCE
from elt_env.project.policy import Policy
from elt_env.project.settings import open_project
from elt_env.report.metrics import write_metrics
from elt_env.runtime.masking import hidden, remember

_TOKEN = "SLACK_TOKEN"  # noqa: S105  # the name of the variable
_TYPES = {"smtp": "STARTTLS", "smtps": "SSL"}
_EACH = 60  # seconds


def observability_definitions(policy: Policy, root: Path) -> dg.Definitions:
    """Return the sensors that the policy asks for.

    Raises:
        PolicyError: dagster-slack is not installed, or there is no mail server.
    """
    return dg.Definitions(sensors=[*_sensors(policy, root)])


def _sensors(policy: Policy, root: Path) -> Iterator[dg.SensorDefinition]:
    if policy.notify_slack:
        yield _slack_sensor(policy.notify_slack, policy)
    if policy.notify_mail:
        yield _mail_sensor(policy)
    if policy.metrics_file:
        yield _metrics_sensor(root / Path(policy.metrics_file).expanduser(), policy, root)


def _slack_sensor(channel: str, policy: Policy) -> dg.SensorDefinition:
    try:
        from dagster_slack import make_slack_on_run_failure_sensor
    except ModuleNotFoundError as error:
        raise PolicyError(
            f"'notify-slack' is set, and {error.name} is not installed, which posts there.",
            "Install it beside elt-env: pip install 'elt-env[slack]'",
        ) from error
    token = os.environ.get(_TOKEN, "")
    remember(token)
    sensor: dg.SensorDefinition = make_slack_on_run_failure_sensor(
        channel, token, text_fn=_told, name="slack_on_run_failure", default_status=at_first(policy)
    )
    return sensor


def _mail_sensor(policy: Policy) -> dg.SensorDefinition:
    server = urlsplit(policy.mail_server or "")
    named = REFERENCE.fullmatch(server.password or "")
    if server.scheme not in _TYPES or not (server.hostname and server.username and named):
        raise PolicyError(
            "'notify-mail' is set, and 'mail-server' is no mail server with a login.",
            "Write it as in smtps://elt:${MAIL_PASSWORD}@mail.example:465, or smtp://… for "
            "STARTTLS; the password is that of a variable.",
        )
    password = os.environ.get(named[1], "")
    remember(password)
    return dg.make_email_on_run_failure_sensor(
        email_from=_sender(server),
        email_password=password,
        email_to=list(policy.notify_mail),
        email_body_fn=_mailed,
        email_subject_fn=lambda context: f"elt-env: {context.dagster_run.job_name} failed",
        smtp_host=server.hostname,
        smtp_type=_TYPES[server.scheme],
        smtp_port=server.port,
        smtp_user=unquote(server.username),
        name="mail_on_run_failure",
        default_status=at_first(policy),
    )


def _sender(server: SplitResult) -> str:
    user = unquote(server.username or "")
    return user if "@" in user else f"{user}@{server.hostname}"


def _told(context: dg.RunFailureSensorContext) -> str:
    """Return what is told of a failed run."""
    run = context.dagster_run
    lines = [f"{run.job_name} failed: run {run.run_id}"]
    lines += [f"{key}: {run.tags[tag]}" for key, tag in _TAGS.items() if tag in run.tags]
    return hidden("\n".join([*lines, context.failure_event.message or ""]))


def _mailed(context: dg.RunFailureSensorContext) -> str:
    """Return the same as Dagster mails it: HTML, and no character that is not ASCII's."""
    text = html.escape(_told(context)).encode("ascii", "xmlcharrefreplace").decode()
    return text.replace("\n", "<br>")


_TAGS = {"Python or target": "dagster/partition", "because of": TRIGGER}


def _metrics_sensor(path: Path, policy: Policy, root: Path) -> dg.SensorDefinition:
    @dg.sensor(
        name="metrics_sensor",
        minimum_interval_seconds=_EACH,
        default_status=at_first(policy),
        description="Writes the metrics of all targets into the policy's metrics-file.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        del context
        try:
            write_metrics(open_project(root), path)
        except EltEnvError as error:
            raise dg.Failure(hidden(str(error)), allow_retries=False) from error
        return dg.SkipReason(f"{path} is written")

    return sensor
