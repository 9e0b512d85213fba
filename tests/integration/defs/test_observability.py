"""A failed run is told in Slack and by mail, and the daemon writes metrics."""

from __future__ import annotations

import functools
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_slack.sensors
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from slack_sdk.web.client import WebClient

from elt_env.defs.observability import observability_definitions
from elt_env.errors import PolicyError
from elt_env.project.policy import EnvironmentPolicy, Policy
from tests.support.chat import chatting
from tests.support.proving import toolbox_at

_PASSWORD = "s3cret-of-the-mail"  # noqa: S105  # nobody's


def policy(**keys: Any) -> Policy:
    environments = {"elt": EnvironmentPolicy(spec="environment.yml", pythons=("3.11",))}
    return Policy(environments=environments, **keys)


def sensor(policy: Policy, root: Path = Path("/")) -> dg.SensorDefinition:
    [found] = observability_definitions(policy, root).sensors or ()
    assert isinstance(found, dg.SensorDefinition)
    assert found.default_status is dg.DefaultSensorStatus.RUNNING
    return found


@dg.op
def break_down() -> None:
    raise dg.Failure("the index does not answer")


@dg.job
def elt_build() -> None:
    break_down()


def tell(told: dg.SensorDefinition) -> None:
    """Let a run fail, and the sensor tell it."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": "3.11", "elt-env/trigger": "dagster 1 → 2"}
        run = elt_build.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        context = dg.build_run_status_sensor_context(
            sensor_name=told.name,
            dagster_instance=instance,
            dagster_run=run.dagster_run,
            dagster_event=run.get_run_failure_event(),
        ).for_run_failure()
        told(context)


def test_slack_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-of-the-test")
    with chatting() as chat:
        chat.answer = json.dumps({"ok": True}).encode()
        host = f"http://{chat.url.split('/')[2]}/api/"
        own = functools.partial(WebClient, base_url=host)
        monkeypatch.setattr(dagster_slack.sensors, "WebClient", own)
        tell(sensor(policy(notify_slack="#data")))
    [message] = chat.taken
    assert chat.paths == ["/api/chat.postMessage"]
    assert message["channel"] == "#data"
    said = json.dumps(message, ensure_ascii=False)
    assert "elt_build failed" in said
    assert "dagster 1 → 2" in said


class Mailbox:
    """Takes mail of whom it knows."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        self.taken.append(envelope)
        return "250 taken"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The certificate of a mail server, which this process trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("localhost", 0))
        return int(held.getsockname()[1])


@pytest.fixture(params=["smtps", "smtp"])
def server(
    request: pytest.FixtureRequest, authority: ssl.SSLContext, mailbox: Mailbox
) -> Iterator[str]:
    """The begin of the URL of a mail server, by TLS from the start or by STARTTLS."""
    whole = request.param == "smtps"

    def login(_: object, __: object, ___: object, ____: str, data: Any) -> AuthResult:
        known = (data.login, data.password) == (b"elt@mail.example", _PASSWORD.encode())
        return AuthResult(success=known, handled=False)

    controller = Controller(
        mailbox,
        hostname="localhost",
        port=_free_port(),
        ssl_context=authority if whole else None,
        tls_context=None if whole else authority,
        authenticator=login,
        auth_require_tls=not whole,
        auth_required=True,
    )
    controller.start()
    try:
        person = "elt%40mail.example:${MAIL_PASSWORD}"
        yield f"{request.param}://{person}@localhost:{controller.port}"
    finally:
        controller.stop()


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_mail_is_sent(server: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", _PASSWORD)
    tell(sensor(policy(notify_mail=("data@team.example",), mail_server=server)))
    [mail] = mailbox.taken
    assert mail.rcpt_tos == ["data@team.example"]
    assert mail.mail_from == "elt@mail.example"
    assert b"elt_build failed" in (mail.content or b"")
    assert b"dagster 1 &#8594; 2" in (mail.content or b"")


@pytest.mark.parametrize(
    "server",
    [None, "https://mail.example", "smtps://mail.example", "smtps://elt:word@mail.example"],
)
def test_a_mail_server_without_a_personof_a_variable_is_refused(server: str | None) -> None:
    with pytest.raises(PolicyError, match="mail-server") as caught:
        observability_definitions(policy(notify_mail=("a@b.example",), mail_server=server), Path())
    assert "word" not in caught.value.problem


def test_the_daemon_writes_metrics(tmp_path: Path) -> None:
    root = toolbox_at(tmp_path).project.root
    written = sensor(policy(metrics_file="elt-env.prom"), root)
    with dg.DagsterInstance.ephemeral() as instance:
        told = written(dg.build_sensor_context(instance=instance))
    assert isinstance(told, dg.SkipReason)
    assert 'elt_env_readable{target="elt@3.11"} 1.0' in (root / "elt-env.prom").read_text()


def test_nothing_is_told_by_default() -> None:
    assert not observability_definitions(policy(), Path()).sensors
