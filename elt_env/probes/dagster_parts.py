"""Puts the parts of a prefix's Dagster to work, and writes one JSON line about each to stdout.

A line has `part`, `fault` (None where it works), `note` and `seconds`. The interpreter of a prefix
runs it, in a directory of its own, with DAGSTER_HOME and

    SMOKE_CODE      the file with the definitions: dagster_code.py beside this one
    SMOKE_EXTRA     another such file: dagster_project.py beside this one; or ""
    SMOKE_DBT       the directory of the dbt project that it builds, or ""
    SMOKE_DBT_TOOL  the launcher of dbt, which runs in forks: dbt_forks.py beside this one
    SMOKE_FAMILY    modules of Dagster's libraries, by spaces
    SMOKE_STORAGE   libraries of storages, by spaces: dagster_postgres, dagster_mysql
    SMOKE_POSTGRES  the directory of PostgreSQL's programs, or ""
    SMOKE_LIMIT     seconds that one wait may take
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import pwd
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any

_LIMIT = float(os.environ["SMOKE_LIMIT"])
_PAUSE = 0.1
_HOST = "127.0.0.1"
_SCHEDULE = "every_minute"
_MISMATCH = "version mismatch"
_QUERY = (
    "{ version repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"
)
_HERE = Path.cwd()
_URLS = {
    # As Dagster makes them of what dagster.yaml has in `postgres_db` and `mysql_db`.
    "dagster_postgres": ("postgres", "postgresql://nobody@127.0.0.1:{port}/nothing"),
    "dagster_mysql": ("mysql", "mysql+mysqlconnector://nobody@127.0.0.1:{port}/nothing"),
}


class Fault(Exception):  # noqa: N818  # it is told, not handled
    """What is wrong with a part, for a person."""


def main() -> None:
    """Try the parts one after another; what one needs of another goes on where that works."""
    gc.disable()  # what libraries load stays: to search it takes a part of the time
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # others may print

    def part(name: str, body: Callable[[], object]) -> Any:  # noqa: ANN401
        """Try one part; return what it gives, or None where it is faulty."""
        start = time.monotonic()
        result, fault = None, None
        try:
            result = body()
        except Fault as error:
            fault = str(error)
        except BaseException as error:  # noqa: BLE001  # libraries may raise anything
            traceback.print_exc()
            fault = _in_a_line(error)
        note = result if isinstance(result, str) else ""
        seconds = round(time.monotonic() - start, 2)
        line = {"part": name, "fault": fault, "note": note, "seconds": seconds}
        answers.write(json.dumps(line) + "\n")
        answers.flush()
        return result if fault is None else None

    with contextlib.ExitStack() as stack:
        _try_all(part, stack)
    os._exit(0)  # threads that libraries started must not keep the interpreter


def _try_all(part: Callable[..., Any], stack: contextlib.ExitStack) -> None:
    family = os.environ["SMOKE_FAMILY"].split()
    part("family", lambda: _family(family))
    code = Path(os.environ["SMOKE_CODE"])
    module = part("definitions", lambda: _definitions(code))
    instance = part("instance", lambda: stack.enter_context(_instance()))
    if module is None or instance is None:
        return
    # All are forks of this process, which has not yet had a thread or a connection.
    forks = _dbt_forks(stack) if os.environ["SMOKE_DBT"] else None
    server = part("code server", lambda: _Server(code, stack))
    webserver = None
    if server and "dagster_webserver" in family:
        webserver = _begin_webserver(server, stack)
    due = server and _Tool("daemon", "dagster-daemon", "run", *server.options, stack=stack)
    part("in process", lambda: _in_process(module, instance))
    answers = server and part("code server answers", lambda: server.answers(instance))
    daemon = answers and part("daemon", lambda: _begin_daemon(due, answers, instance))
    extra = os.environ["SMOKE_EXTRA"]
    if extra:  # while the others start
        part("integrations", lambda: _integrations(Path(extra), forks))
    if daemon:
        part("schedule and multiprocess", lambda: _daemon(daemon, instance))
    if webserver:
        part("webserver", lambda: _webserver(webserver))
    programs = os.environ["SMOKE_POSTGRES"]
    for library in os.environ["SMOKE_STORAGE"].split():
        if programs and library == "dagster_postgres":
            part("a run on PostgreSQL", lambda: _run_on_postgres(module, Path(programs), stack))
        else:
            part(f"storage of {library}", lambda name=library: _storage(name))


def _family(names: list[str]) -> str:
    """Import the libraries; each says by a warning that it does not belong to this Dagster."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name in names:
            importlib.import_module(name)
    faults = dict.fromkeys(str(each.message) for each in said if _MISMATCH in str(each.message))
    if faults:
        raise Fault("\n".join(faults))
    return f"{len(names)} libraries belong together"


def _definitions(path: Path) -> ModuleType:
    import dagster

    module = _load(path)
    dagster.Definitions.validate_loadable(module.defs)
    return module


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Fault(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _instance(home: "Path | None" = None) -> Any:  # noqa: ANN401
    """Return an instance whose storages are made: two processes must not make them at once."""
    import dagster

    if home is None:
        instance = dagster.DagsterInstance.get()
    else:
        instance = dagster.DagsterInstance.from_config(str(home))
    instance.get_runs(limit=1)
    instance.all_instigator_state()
    instance.get_asset_keys(limit=1)
    return instance


def _in_process(module: ModuleType, instance: Any) -> str:  # noqa: ANN401
    """Materialize everything; None for the instance is one in memory."""
    defs = module.defs
    resolve = getattr(defs, "resolve_implicit_global_asset_job_def", None)
    job = (resolve or defs.get_implicit_global_asset_job_def)()
    result = job.execute_in_process(instance=instance)
    made = list(result.get_asset_materialization_events())
    if not result.success or not made:
        raise Fault(f"the run made {len(made)} assets, and its success is {result.success}")
    return f"{len(made)} assets"


def _integrations(code: Path, dbt: "Path | None") -> str:
    if dbt:
        _parse(Path(os.environ["SMOKE_DBT"]), dbt)
    # What a run tells an instance on a disk is known from elsewhere; here are many more events.
    return _in_process(_definitions(code), None)


def _dbt_forks(stack: contextlib.ExitStack) -> Path:
    """Return a program that runs dbt, and that runs it for dagster-dbt from now on."""
    forks = _load(Path(__file__).with_name("dbt_forks.py"))
    program: Path = stack.enter_context(forks.dbt_forks(os.environ["SMOKE_DBT_TOOL"]))
    os.environ["SMOKE_DBT_TOOL"] = str(program)
    return program


def _parse(project: Path, dbt: Path) -> None:
    """Let dbt write the manifest that dagster-dbt reads its assets from."""
    target = project / "target"
    where = {"project-dir": project, "profiles-dir": project, "target-path": target}
    options = [f"--{name}={path}" for name, path in where.items()]
    options += [f"--log-path={target / 'logs'}", "--no-use-colors", "--no-version-check"]
    done = subprocess.run(  # noqa: S603  # it stands in for the prefix's own
        [dbt, "parse", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    if done.returncode:
        why = done.stdout.strip()[-2000:]
        raise Fault(f"dbt parse fails; correct what dbt names in dbt_project/: {why}")


class _Server:
    """A code server in a process of its own."""

    def __init__(self, code: Path, stack: contextlib.ExitStack) -> None:
        self.port = _free_port()
        where = ["--host", _HOST, "--port", str(self.port)]
        command = ("dagster", "api", "grpc", "-f", str(code), *where)
        self._process = _Tool("code server", *command, stack=stack)
        self._process.begin()

    @property
    def options(self) -> list[str]:
        """How a webserver or a daemon is told of it."""
        return ["--grpc-host", _HOST, "--grpc-port", str(self.port)]

    def answers(self, instance: Any) -> Any:  # noqa: ANN401
        """Return the schedule that a client finds there."""
        from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
        from dagster._grpc.client import DagsterGrpcClient

        client = DagsterGrpcClient(port=self.port, host=_HOST)
        self._process.wait_until(lambda: client.ping("smoke")["echo"] == "smoke")
        origin = GrpcServerCodeLocationOrigin(
            host=_HOST, port=self.port, location_name=f"grpc:{_HOST}:{self.port}"
        )
        location = origin.create_location(instance)
        (repository,) = location.get_repositories().values()
        jobs = sorted(each.name for each in repository.get_all_jobs())
        if "several" not in jobs:
            raise Fault(f"the code server knows no job 'several', but {jobs}")
        return repository.get_schedule(_SCHEDULE)


def _begin_webserver(server: _Server, stack: contextlib.ExitStack) -> "tuple[_Process, int]":
    port = _free_port()
    command = ("dagster-webserver", "-h", _HOST, "-p", str(port), *server.options)
    webserver = _Tool("webserver", *command, stack=stack)
    webserver.begin()
    return webserver, port


def _webserver(begun: "tuple[_Process, int]") -> str:
    process, port = begun
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"http://{_HOST}:{port}/graphql",
        data=json.dumps({"query": _QUERY}).encode(),
        headers={"Content-Type": "application/json"},
    )
    answer: dict[str, Any] = {}

    def ask() -> bool:
        with opener.open(request, timeout=_LIMIT) as response:
            answer.update(json.loads(response.read()))
        nodes = ((answer.get("data") or {}).get("repositoriesOrError") or {}).get("nodes")
        return bool(nodes)

    process.wait_until(ask, lambda: f"; GraphQL last said {answer}")
    jobs = [
        job["name"]
        for node in answer["data"]["repositoriesOrError"]["nodes"]
        for job in node["jobs"]
    ]
    if "several" not in jobs:
        raise Fault(f"GraphQL knows no job 'several': {answer}")
    return f"GraphQL answers as {answer['data']['version']}"


def _begin_daemon(
    daemon: "_Tool",
    schedule: Any,  # noqa: ANN401
    instance: Any,  # noqa: ANN401
) -> "_Process":
    _begin_schedule(schedule, instance)
    daemon.begin()
    return daemon


def _daemon(process: "_Process", instance: Any) -> str:  # noqa: ANN401
    from dagster import DagsterRunStatus, RunsFilter

    filters = RunsFilter(tags={"dagster/schedule_name": _SCHEDULE})

    def ended() -> bool:
        return any(each.is_finished for each in instance.get_runs(filters))

    process.wait_until(ended)
    run = next(each for each in instance.get_runs(filters) if each.is_finished)
    if run.status != DagsterRunStatus.SUCCESS:
        error = _last_error(run, instance)
        raise Fault(f"the run that the daemon launched is {run.status.value}:\n{error}")
    process.interrupt()
    return "the schedule ticked, its run succeeded, the daemon ended"


def _begin_schedule(schedule: Any, instance: Any) -> None:  # noqa: ANN401
    """Turn the schedule on as of a minute ago: due once now, or else within a minute."""
    from dagster._core.scheduler.instigation import ScheduleInstigatorData

    state = instance.start_schedule(schedule)
    with contextlib.suppress(Exception):
        begun = ScheduleInstigatorData(schedule.cron_schedule, time.time() - 60)
        instance.update_instigator_state(state.with_data(begun))


def _last_error(run: Any, instance: Any) -> str:  # noqa: ANN401
    errors = [
        each.dagster_event.event_specific_data.error
        for each in instance.all_logs(run.run_id)
        if each.is_dagster_event and getattr(each.dagster_event.event_specific_data, "error", None)
    ]
    return str(errors[-1].to_string())[-2000:] if errors else "it tells no error"


def _storage(library: str) -> str:
    """Make the storages of an instance up to the connection, which nobody takes."""
    key, url = _URLS[library]
    url = url.format(port=_free_port())
    home = _home(library, key, url)
    try:
        _instance(home)
    except Exception as error:  # noqa: BLE001  # whatever a driver raises
        chain = list(_chain(error))
        if any(_is_refused(each) for each in chain):
            return f"up to the connection of {url.partition(':')[0]}"
        traceback.print_exc()
        root = next((each for each in chain if isinstance(each, ImportError)), error)
        raise Fault(f"with {key}_url = {url.partition(':')[0]}://…: {_in_a_line(root)}") from None
    raise Fault(f"its storages are made without a connection to {url}")


def _is_refused(error: BaseException) -> bool:
    """Tell whether an exception says that nobody answers, as drivers and Dagster word it."""
    if isinstance(error, ImportError):
        return False
    words = ("Connection refused", "Can't connect", "too many retries for DB connection")
    return isinstance(error, ConnectionError) or any(each in str(error) for each in words)


def _chain(error: "BaseException | None") -> "Iterator[BaseException]":
    seen: list[int] = []
    while error is not None and id(error) not in seen:
        seen.append(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _home(name: str, key: str, url: str) -> Path:
    home = _HERE / f"instance-{name}"
    home.mkdir()
    content = {"telemetry": {"enabled": False}, "storage": {key: {f"{key}_url": url}}}
    (home / "dagster.yaml").write_text(json.dumps(content))  # JSON is YAML
    return home


def _run_on_postgres(module: ModuleType, programs: Path, stack: contextlib.ExitStack) -> str:
    port = _begin_postgres(programs, stack)
    home = _home("real", "postgres", f"postgresql://elt@{_HOST}:{port}/postgres")
    with _instance(home) as instance:
        return _in_process(module, instance) + ", told to PostgreSQL"


def _begin_postgres(programs: Path, stack: contextlib.ExitStack) -> int:
    """Start a PostgreSQL of our own, which trusts who comes over loopback, and return its port."""
    place = Path(tempfile.mkdtemp(prefix="elt-env-pg-"))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        user = _unprivileged()
        os.chown(place, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, port = place / "data", _free_port()
    options = ["-U", "elt", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(  # noqa: S603  # PostgreSQL's own
        [programs / "initdb", "-D", data, *options],
        **{"capture_output": True, "text": True, "cwd": place, "timeout": _LIMIT, **as_user},
        check=False,
    )
    if made.returncode:
        raise Fault(f"initdb ended with exit code {made.returncode}: {made.stderr.strip()[-500:]}")
    where = ("-D", str(data), "-p", str(port), "-h", _HOST, "-k", str(place), "-F")
    command = (str(programs / "postgres"), *where)
    process = _Process("PostgreSQL", *command, stack=stack, cwd=place, **as_user)

    def listens() -> bool:
        with socket.create_connection((_HOST, port), timeout=1):
            return True

    process.wait_until(listens)
    return port


def _unprivileged() -> pwd.struct_passwd:
    names = [each.pw_name for each in pwd.getpwall()]
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


class _Process:
    """A program that goes on in the background, and what it prints."""

    def __init__(
        self,
        name: str,
        *command: str,
        stack: contextlib.ExitStack,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.name = name
        self._log = _HERE / f"{name.replace(' ', '-')}.log"
        with self._log.open("wb") as log:
            self._process = self._start(command, log, **options)
        stack.callback(self._end)

    def _start(self, command: "tuple[str, ...]", log: "IO[bytes]", **options: Any) -> Any:  # noqa: ANN401
        return subprocess.Popen(  # noqa: S603  # PostgreSQL's own
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **options
        )

    @property
    def last_words(self) -> str:
        """The end of what it printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-15:])

    def wait_until(self, holds: Callable[[], bool], more: Callable[[], str] = str) -> None:
        """Return when something holds that comes of this process."""
        deadline = time.monotonic() + _LIMIT
        last = ""
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise Fault(f"the {self.name} ended with exit code {code}: {self.last_words}")
            try:
                if holds():
                    return
            except Exception as error:  # noqa: BLE001  # it is not there yet
                last = _in_a_line(error)
            time.sleep(_PAUSE)
        why = f"does not answer within {_LIMIT:g} s: {last}{more()}"
        raise Fault(f"the {self.name} {why}\n{self.last_words}")

    def interrupt(self) -> None:
        """End it as Ctrl-C does, and wait for that."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            raise Fault(f"the {self.name} does not end within {_LIMIT:g} s of SIGINT") from None
        if code not in {0, -signal.SIGINT, 128 + signal.SIGINT}:
            raise Fault(f"the {self.name} ended with exit code {code}: {self.last_words}")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class _Tool(_Process):
    """A program of the prefix, in a fork: what was imported here, it has.

    It is as it would be started, but for the interpreter's own start. It waits until it is told to
    begin.
    """

    def begin(self) -> None:
        """Let it go."""
        os.write(self._gate, b"!")

    def _start(self, command: "tuple[str, ...]", log: "IO[bytes]", **_: object) -> "_Fork":
        waits, self._gate = os.pipe()
        return _Fork(_become, command, log, waits)


class _Fork:
    """What subprocess.Popen is for a program, for a fork of this process."""

    def __init__(self, target: "Callable[..., None]", *arguments: object) -> None:
        fork = multiprocessing.get_context("fork").Process(target=target, args=arguments)
        fork.start()
        self.terminate, self.kill = fork.terminate, fork.kill
        self._fork = fork

    def poll(self) -> "int | None":
        return self._fork.exitcode

    def wait(self, limit: "float | None" = None) -> int:
        self._fork.join(limit)
        code = self._fork.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._fork.name, limit or 0)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self._fork.pid or 0, number)


def _become(command: "tuple[str, ...]", log: "IO[bytes]", waits: int) -> None:
    """Run a program of the prefix in this process, when that is due."""
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    if not os.read(waits, 1):
        return
    gc.freeze()
    gc.enable()
    program = str(Path(sys.executable).with_name(command[0]))
    sys.argv = [program, *command[1:]]
    runpy.run_path(program, run_name="__main__")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


def _in_a_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
