"""The conda half: from the spec's channels, or from the host channel in their place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.errors import (
    CertificateError,
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    NetworkError,
    PackageNotFoundError,
    ProxyError,
    ToolError,
)
from elt_env.lock.make import Locked
from elt_env.lock.request import ask
from elt_env.lock.solve import CondaAnswer, solve
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.machine.process import Say
from elt_env.pip import ResolveRequest
from elt_env.pip.port import Resolved
from elt_env.pip.uv_tool import Uv
from elt_env.python.interpreters import find_interpreter
from elt_env.runtime.files import sha256_of
from elt_env.tools import Tools
from tests.support.channel import ChannelServer, Fault
from tests.support.forward_proxy import ForwardProxy
from tests.support.index_server import dead_url
from tests.support.locking import PYTHON, Scene, target_of, versions_of
from tests.support.loopback import running
from tests.support.tls import Authority, over_tls
from tests.support.wheels import make_sdist

_HOST = {"channel-fallback": "host"}
_NONE = {"channel-fallback": "none"}


def _solve(scene: Scene, toolbox: Tools) -> CondaAnswer:
    target = target_of(toolbox)
    spec = toolbox.project.spec(target.environment)
    scene.said.clear()
    return solve(ask(target, spec, toolbox.policy, toolbox.store.now), toolbox, scene.said)


def test_conda_answers_with_the_newest(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0", "2.0")
    scene.offer_conda("python-dateutil", "2.9", package="pydateutil")
    scene.offer_conda("app", "1.0", depends=["python", "lib >=1", "pydateutil"])
    answer = _solve(scene, scene.toolbox(conda=["app"]))
    assert answer.python == "3.11.5"
    assert answer.owned == {"app": "1.0", "lib": "2.0", "python-dateutil": "2.9"}
    assert answer.owner("python-dateutil").name == "pydateutil"
    with pytest.raises(KeyError):
        answer.owner("pydateutil")
    needed = {each.name: each.required_by for each in answer.packages}
    assert needed["lib"] == ("app",)
    assert needed["python"] == ("app", "lib", "pydateutil")
    assert (answer.channels, answer.source) == ((scene.channel.url,), "remote")
    assert scene.told == f"conda: solving elt@3.11/linux-64 from {scene.channel.url}"


def test_the_specs_range_of_python_holds(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    with pytest.raises(CondaUnsatisfiableError, match=r"3\.11\.5"):
        _solve(scene, scene.toolbox(conda=["lib", "python>=3.11.6"]))


def test_the_first_channel_comes_first(scene: Scene, tmp_path: Path) -> None:
    scene.offer_conda("lib", "2.0")
    toolbox = scene.toolbox(conda=["lib"])
    second = Scene(tmp_path / "second", scene.channel.linked_copy(tmp_path / "other"), scene.index)
    second.offer_conda("lib", "3.0")
    second.toolbox()
    spec = toolbox.project.root / "environments/elt.yml"
    spec.write_text(spec.read_text().replace("channels:\n", f"channels:\n- {scene.channel.url}\n"))
    spec.write_text(
        spec.read_text().replace(f"- {scene.channel.url}\nd", f"- {second.channel.url}\nd")
    )
    answer = _solve(scene, toolbox)
    assert answer.channels == (scene.channel.url, second.channel.url)
    assert answer.owned == {"lib": "2.0"}


def test_a_package_that_no_channel_has(scene: Scene) -> None:
    with pytest.raises(PackageNotFoundError, match="'nope' on the conda channel"):
        _solve(scene, scene.toolbox(conda=["nope"]))


def test_an_unreachable_channel_without_a_fallback(scene: Scene) -> None:
    scene.channel_url = dead_url()
    with pytest.raises(ChannelUnreachableError, match=dead_url()) as caught:
        _solve(scene, scene.toolbox(conda=["lib"], policy=_NONE))
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert 'channel-fallback = "host"' in caught.value.remedy
    assert "HOST" not in scene.told


@pytest.mark.parametrize("fault", ["404", "nonsense"])
def test_an_answer_that_is_not_repodata_is_no_reason_for_the_host_channel(
    scene: Scene, fault: Fault
) -> None:
    with running(ChannelServer(scene.channel.root)) as server:
        server.fault, scene.channel_url = fault, server.url
        with pytest.raises(NetworkError, match="does not answer with repodata") as caught:
            _solve(scene, scene.toolbox(conda=["lib"], policy=_HOST))
    assert not isinstance(caught.value, ChannelUnreachableError)
    assert "HOST" not in scene.told


def test_a_server_error_counts_as_unreachable(scene: Scene) -> None:
    with running(ChannelServer(scene.channel.root)) as server:
        server.fault, scene.channel_url = "500", server.url
        with pytest.raises(ChannelUnreachableError, match="500"):
            _solve(scene, scene.toolbox(conda=["lib"], policy=_NONE))
        with pytest.raises(ChannelUnreachableError, match="host channel cannot stand in"):
            _solve(scene, scene.toolbox(conda=["lib"], policy=_HOST))
    assert "WARNING: using the HOST CHANNEL" in scene.told


def test_a_certificate_that_is_refused_is_no_reason_for_the_host_channel(
    scene: Scene, tmp_path: Path
) -> None:
    server = ChannelServer(scene.channel.root)
    with running(over_tls(server, Authority(tmp_path / "authority.pem").good())):
        scene.channel_url = server.url
        with pytest.raises(CertificateError, match="not trusted here"):
            _solve(scene, scene.toolbox(conda=["lib"], policy=_HOST))
    assert "HOST" not in scene.told


def test_a_proxy_that_refuses_is_no_reason_for_the_host_channel(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.channel_url = "https://channel.example.invalid/c"
    with ForwardProxy(login="me:open-sesame") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ProxyError, match=r"way to channel\.example\.invalid:?\d* wants"):
            _solve(scene, scene.toolbox(conda=["lib"], policy=_HOST))
    assert "HOST" not in scene.told


def test_a_busy_channel_is_waited_for(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    with running(ChannelServer(scene.channel.root)) as server:
        scene.channel_url = server.url
        toolbox = scene.toolbox(conda=["lib"], policy=_HOST)
        server.busy["repodata.json"], server.retry_after = 9, "1"
        assert _solve(scene, toolbox).source == "remote"
    assert "127.0.0.1 asks to wait: again in 1 s" in scene.told


@pytest.fixture
def cut_off(scene: Scene) -> Scene:
    """A scene whose channel nobody reaches."""
    scene.channel_url = dead_url()
    return scene


def test_a_package_without_a_wheel_has_no_stand_in(cut_off: Scene, tmp_path: Path) -> None:
    cut_off.index.add(make_sdist(tmp_path, "native", "1.0"))
    for name in ("r-base", "native"):
        with pytest.raises(ChannelUnreachableError, match=f"cannot stand in.*{name}") as caught:
            _solve(cut_off, cut_off.toolbox(conda=[name], policy=_HOST))
        assert "Make the conda channel reachable" in caught.value.remedy


def test_all_that_no_wheel_is_is_said_at_once(cut_off: Scene) -> None:
    cut_off.offer_pip("lib", "1.0")
    cut_off.offer_pip("fine", "1.0")
    cut_off.index.add(make_sdist(cut_off.root, "zlib", "1.3"))
    names = ["lib=0.9", "x264", "r-base=4", "fine", "zlib"]
    for more in ([], ["_libgcc_mutex"]):
        with pytest.raises(ChannelUnreachableError) as caught:
            _solve(cut_off, cut_off.toolbox(conda=[*names, *more], policy=_HOST))
        absent = ", ".join([*more, "r-base", "x264"])
        assert f"no index has a distribution of that name: {absent};" in caught.value.problem
        assert caught.value.problem.endswith("no index has a wheel that fits: lib =0.9, zlib")


def test_a_patch_release_that_this_machine_does_not_have(
    cut_off: Scene, interpreter_here: None
) -> None:
    del interpreter_here
    cut_off.offer_pip("lib", "1.0")
    with pytest.raises(
        ChannelUnreachableError, match=r"3\.11\.99.*this machine has 3\.11"
    ) as caught:
        _solve(cut_off, cut_off.toolbox(conda=["python=3.11.99", "lib", "x264"], policy=_HOST))
    assert "no index has a distribution of that name: x264" in caught.value.problem


def test_no_wheels_that_fit(cut_off: Scene) -> None:
    cut_off.offer_pip("lib", "1.0")
    with pytest.raises(CondaUnsatisfiableError, match=r"no versions that fit.*lib>=2"):
        _solve(cut_off, cut_off.toolbox(conda=["lib>=2"], policy=_HOST))


def test_a_python_that_this_machine_does_not_have(cut_off: Scene) -> None:
    toolbox = cut_off.toolbox(conda=["lib"], policy=_HOST, pythons=["3.99"])
    target = target_here("elt", "3.99")
    question = ask(target, toolbox.project.spec("elt"), toolbox.policy, toolbox.store.now)
    with pytest.raises(ToolError, match=r"no Python 3\.99 on this machine") as caught:
        solve(question, toolbox, print)
    assert "pyenv install 3.99" in caught.value.remedy


@pytest.fixture(scope="module")
def interpreter_here() -> None:
    """Skip where this machine has no Python that a conda package can be made of."""
    try:
        find_interpreter(PYTHON)
    except ToolError as error:
        pytest.skip(error.problem.splitlines()[0])


def _offer_host_scene(scene: Scene) -> None:
    scene.offer_pip("dateutil", "2.9", "4.0")
    scene.offer_pip("frame", "1.0", "2.0", requires=["dateutil>=2"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])


def _lock_from_host(scene: Scene) -> Locked:
    return scene.lock(conda=["frame"], pip=["dbt"], policy=_HOST)


def test_the_host_channel_stands_in(cut_off: Scene, interpreter_here: None) -> None:
    del interpreter_here
    _offer_host_scene(cut_off)
    locked = _lock_from_host(cut_off)
    lock = locked.lock
    warnings = [line for line in cut_off.said if line.startswith("WARNING")]
    assert f"channel {dead_url()} cannot be reached" in warnings[0]
    assert "HOST CHANNEL" in warnings[1]
    toolbox = cut_off.toolbox(conda=["frame"], pip=["dbt"], policy=_HOST)
    assert (lock.channel_source, lock.channels) == ("host", (toolbox.host_channel.url,))
    # The interpreter of this machine, the newest wheel, and the older one that pip needs.
    assert lock.python.version == find_interpreter(PYTHON).version
    assert versions_of(locked) == {"dateutil": "2.9", "dbt": "1.0", "frame": "2.0"}
    assert [each.name for each in lock.negotiated] == ["dateutil"]
    for package in lock.conda:
        archive = Path(package.url.removeprefix("file://"))
        assert package.sha256 == sha256_of(archive)
    # It is kept without asking anybody, until the policy forbids where it came from.
    cut_off.index.fault = "500"
    assert _lock_from_host(cut_off).kept
    with pytest.raises(ChannelUnreachableError):
        cut_off.lock(conda=["frame"], pip=["dbt"], policy=_NONE)
    assert "from the host channel, which the policy no longer allows" in cut_off.told


class _Recorded(Uv):
    """uv, with what it was asked."""

    def __init__(self, toolbox: Tools) -> None:
        super().__init__(toolbox.indexes, 120.0)
        self.begun: list[ResolveRequest] = []
        self.asked: list[ResolveRequest] = []

    def begin(self, request: ResolveRequest) -> None:
        self.begun.append(request)
        super().begin(request)

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        self.asked.append(request)
        return super().resolve(request, say)


def test_the_joint_resolve_has_a_head_start_where_the_host_channel_stood_in_before(
    cut_off: Scene, interpreter_here: None
) -> None:
    del interpreter_here
    _offer_host_scene(cut_off)
    before = _lock_from_host(cut_off)
    toolbox = cut_off.toolbox(conda=["frame"], pip=["dbt"], policy=_HOST)
    resolver = _Recorded(toolbox)
    vars(toolbox)["_uv"] = resolver
    again = cut_off.lock_with(toolbox, upgrade=None)
    assert again.lock.digest == before.lock.digest
    assert [resolver.asked.count(each) for each in resolver.begun] == [1]


def test_what_an_earlier_lock_left_in_the_host_channel_makes_no_difference(
    cut_off: Scene, interpreter_here: None
) -> None:
    del interpreter_here
    (newest,) = cut_off.offer_pip("lib", "2.0")
    cut_off.offer_pip("lib", "1.0")
    before = cut_off.lock(conda=["lib"], policy=_HOST)
    cut_off.index.yank(newest)
    after = cut_off.lock(conda=["lib"], policy=_HOST, upgrade=None)
    assert (versions_of(before)["lib"], versions_of(after)["lib"]) == ("2.0", "1.0")


def test_the_host_channel_follows_extras(cut_off: Scene, interpreter_here: None) -> None:
    del interpreter_here
    cut_off.offer_pip("tool", "1.0", requires=["codec[fast,none]>=2,<4", "codec[odd]; extra=='x'"])
    fast = ["speed[c]; extra == 'fast'", "tomli; extra == 'fast' and python_version < '3.11'"]
    cut_off.offer_pip("codec", "3.0", requires=[*fast, "odd; extra == 'odd'"])
    cut_off.offer_pip("codec", "4.0")
    cut_off.offer_pip("speed", "1.0", "2.0", requires=["native<2; extra == 'c'"])
    cut_off.offer_pip("native", "1.0", "2.0")
    locked = cut_off.lock(conda=["tool", "speed<2"], policy=_HOST)
    assert versions_of(locked) == {
        "codec": "3.0",
        "codec-with-fast": "3.0",
        "codec-with-none": "3.0",
        "native": "1.0",
        "python_abi": "3.11",  # what the extra requires differs between Pythons
        "speed": "1.0",
        "speed-with-c": "1.0",
        "tool": "1.0",
    }
    assert locked.lock.distributions.keys() == {"codec", "native", "speed", "tool"}
    native = next(each for each in locked.lock.conda if each.name == "native")
    assert native.required_by == ("speed-with-c",)


def test_packages_of_an_earlier_host_channel_are_not_kept(
    cut_off: Scene, interpreter_here: None
) -> None:
    del interpreter_here
    cut_off.offer_pip("tool", "1.0", requires=["codec[fast]"])
    cut_off.offer_pip("codec", "1.0", requires=["speed; extra == 'fast'"])
    cut_off.offer_pip("speed", "1.0")
    toolbox = cut_off.toolbox(conda=["tool"], policy=_HOST)
    old = _lock_without_extras(cut_off, toolbox)
    locked = cut_off.lock_with(toolbox)
    assert "left out what extras require" in cut_off.told
    assert versions_of(locked).keys() == {"codec", "codec-with-fast", "speed", "tool"}
    before = next(each for each in old.conda if each.name == "tool")
    now = next(each for each in locked.lock.conda if each.name == "tool")
    assert (before.version, Path(before.url.removeprefix("file://")).exists()) == ("1.0", True)
    assert now.url != before.url


def _lock_without_extras(scene: Scene, toolbox: Tools) -> Lock:
    """Make a lock current as an earlier version left it: with its own channel, and no extras."""
    locked = scene.lock_with(toolbox).lock
    earlier = toolbox.project.local_home / "host-channel"
    packages = []
    for each in locked.packages:
        if each.name in ("codec-with-fast", "speed") or each.conda is None:
            continue
        source = Path(each.url.removeprefix("file://"))
        target = earlier / each.conda.subdir / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        depends = tuple(line for line in each.conda.depends if "-with-" not in line)
        conda = replace(each.conda, build_number=0, depends=depends)
        packages.append(replace(each, url=target.as_uri(), conda=conda))
    lock = replace(locked, packages=tuple(packages), channels=(earlier.as_uri(),))
    toolbox.store.write_lock(lock)
    toolbox.store.set_current(lock.target, lock.digest, toolbox.store.now())
    return lock
