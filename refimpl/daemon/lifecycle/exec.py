"""Further processes in a running container.

Mirrors: moby daemon/exec.go, daemon/exec/exec.go (v20.10).
"""

from __future__ import annotations

import logging
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from refimpl.daemon.backend import STDERR, STDOUT, AttachSession, Wire
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import Workers
from refimpl.daemon.containers.refusals import not_running, restarting
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.containers.status import status_text
from refimpl.daemon.events.events import Events
from refimpl.daemon.lifecycle.process import UNKNOWN, abandon, close_process
from refimpl.daemon.lifecycle.spec import Specs, replace_or_append_env
from refimpl.daemon.lifecycle.start_errors import exit_code_of
from refimpl.daemon.streams.detach_keys import parse_detach_keys
from refimpl.daemon.streams.session import Session, Streams
from refimpl.daemon.streams.stdio import StdioLoop
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound
from refimpl.model.wire import WireError, decode
from refimpl.model.wire_container import ExecRequest
from refimpl.oci.base import Process, ProcessSpec, Runtime
from refimpl.oci.users import UnknownUser

log = logging.getLogger(__name__)

EXEC_FAILED = 126
"""The exit code of a process that the runtime could not start, whatever the reason."""
RESIZE_WAIT_S = 10.0
"""How long a resize waits for the start of its process (moby's own figure)."""

EXECS_KEPT = 1000
"""How many ended processes can still be asked for their exit code."""


@dataclass(slots=True, kw_only=True, eq=False)
class Exec:
    """One prepared, running or ended process."""

    id: str
    container: Container
    request: ExecRequest
    environment: tuple[str, ...]
    """As it was when the process was prepared: a link's target may be gone at its start."""
    streams: Streams
    detach_keys: bytes
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    started: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once the process runs or could not be started."""

    @property
    def command_line(self) -> str:
        """Return the command as the events show it."""
        command = self.request.cmd or []
        return f"{command[0]} {' '.join(command[1:])}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Execs:
    """The further processes of all containers."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    containers: ContainerRegistry
    specs: Specs
    runtime: Runtime
    stdio: StdioLoop
    workers: Workers
    events: Events
    execs: dict[str, Exec] = field(default_factory=dict, init=False)

    def exec_create(self, ref: str, body: Wire) -> str:
        """Prepare a process (moby: ContainerExecCreate).

        Raises:
            InvalidParameter, NotFound, Conflict: there is no command, or no running container.
            EngineError: a container that this one links to does not run.
        """
        try:
            request = decode(ExecRequest, body, go_type="types.ExecConfig")
        except WireError as error:
            raise InvalidParameter(str(error)) from error
        if not request.cmd:
            raise InvalidParameter("No exec command specified")
        container = self.containers.get_container(ref)
        self._refuse_inactive(container, ref)
        try:
            detach_keys = parse_detach_keys(request.detach_keys)
        except ValueError:
            raise EngineError(f"Invalid escape keys ({request.detach_keys}) provided") from None
        exec_id = self.new_id()
        streams = Streams(
            self.stdio.resume,
            tty=request.tty,
            stdin_once=True,
            name=f"exec {exec_id[:12]} in container {container.id[:12]}",
        )
        prepared = Exec(
            id=exec_id,
            container=container,
            request=request,
            environment=self._exec_environment(container, request),
            streams=streams,
            detach_keys=detach_keys,
        )
        self._forget_oldest()
        self.execs[prepared.id] = prepared
        self._log_exec_event(prepared, f"exec_create: {prepared.command_line}")
        return prepared.id

    @staticmethod
    def _refuse_inactive(container: Container, ref: str) -> None:
        with container.lock:
            if not container.state.running:
                raise not_running(container.id)
            if container.state.paused:
                raise Conflict(f"Container {ref} is paused, unpause the container before exec")
            if container.state.restarting:
                raise restarting(container.id)

    def _exec(self, exec_id: str) -> Exec:
        try:
            return self.execs[exec_id]
        except KeyError:
            raise NotFound(f"No such exec instance: {exec_id}") from None

    def exec_exists(self, exec_id: str) -> None:
        """Refuse an exec that cannot be started (moby: ExecExists)."""
        self._active_exec(exec_id)

    def _active_exec(self, exec_id: str) -> Exec:
        """Return an exec whose container runs (moby: getExecConfig).

        Raises:
            NotFound: there is no such exec.
            EngineError: its container does not run; a 500, as in v20.10.
            Conflict: its container is paused or restarts.
        """
        prepared = self._exec(exec_id)
        container = prepared.container
        with container.lock:
            if not container.state.running:
                status = status_text(container.state, self.clock())
                raise EngineError(f"Container {container.id} is not running: {status}")
            self._refuse_inactive(container, container.id)
        return prepared

    def exec_start(self, exec_id: str, *, detach: bool) -> AttachSession | None:
        """Start a prepared process (moby: ContainerExecStart).

        What the runtime refuses is told on the stream, as Docker does, unless detached.
        """
        prepared = self._exec(exec_id)
        with prepared.lock:
            if prepared.exit_code is not None:
                raise Conflict(f"Error: Exec command {exec_id} has already run")
            if prepared.running:
                raise Conflict(f"Error: Exec command {exec_id} is already running")
            prepared.running = True
        session = self._attach_exec(prepared)
        try:
            self._active_exec(exec_id)
            self._log_exec_event(prepared, f"exec_start: {prepared.command_line}")
            process = self.runtime.exec(prepared.container.id, self._exec_process(prepared))
            self._watch(prepared, process)
        except Exception as failure:
            told = self._exec_failed(prepared, failure)
            if detach:
                raise told from failure
            session.push(STDOUT, f"{told}\r\n".encode())
            prepared.streams.end()
            return session
        prepared.started.set()
        if detach:
            session.detach()
            return None
        return session

    def _watch(self, prepared: Exec, process: Process) -> None:
        """Read a process that was started; it is killed where that fails."""
        prepared.pid = process.pid
        try:
            prepared.streams.begin(process)
            if not prepared.request.attach_stdin:
                prepared.streams.close_stdin()
            self.stdio.watch(process, prepared.streams, self._exec_ended(prepared))
        except BaseException:
            prepared.streams.end()
            abandon(process, self.runtime)
            raise

    def _attach_exec(self, prepared: Exec) -> Session:
        request = prepared.request
        wanted = {STDOUT} if request.attach_stdout else set()
        if request.attach_stderr:
            wanted.add(STDERR)
        return prepared.streams.attach(
            frozenset(wanted),
            owns_stdin=request.attach_stdin,
            detach_keys=prepared.detach_keys,
            on_detach_keys=lambda: self._log_exec_event(prepared, "exec_detach"),
        )

    def _exec_environment(self, container: Container, request: ExecRequest) -> tuple[str, ...]:
        lines = self.specs.create_daemon_environment(container, tty=request.tty)
        return replace_or_append_env(lines, request.env or [])

    def _exec_process(self, prepared: Exec) -> ProcessSpec:
        request, container = prepared.request, prepared.container
        return ProcessSpec(
            args=tuple(request.cmd or ()),
            env=prepared.environment,
            cwd=request.working_dir or container.config.working_dir or "/",
            user=request.user or container.config.user,
            tty=request.tty,
            open_stdin=request.attach_stdin,
            privileged=request.privileged,
        )

    @staticmethod
    def _exec_failed(prepared: Exec, failure: Exception) -> EngineError:
        """Record that a process could not be started, and return what the client is told."""
        with prepared.lock:
            prepared.running = False
            prepared.exit_code = EXEC_FAILED
        prepared.started.set()
        if isinstance(failure, EngineError):
            return failure
        if isinstance(failure, UnknownUser):
            return EngineError(str(failure))
        text = f"OCI runtime exec failed: exec failed: {failure}: unknown"
        return exit_code_of((prepared.request.cmd or [""])[0], text)[1]

    def _exec_ended(self, prepared: Exec) -> Callable[[Process], None]:
        def ended(process: Process) -> None:
            self.workers.submit(lambda: self._finish_exec(prepared, process))

        return ended

    def _finish_exec(self, prepared: Exec, process: Process) -> None:
        try:
            exit_code = self.runtime.wait(process)
        except (OSError, EngineError):
            log.exception("the exit code of exec %s is not known", prepared.id)
            exit_code = UNKNOWN
        with prepared.lock:
            prepared.running = False
            prepared.exit_code = exit_code
        # before the stream ends: a client then asks for the exit code and the events
        self._log_exec_event(prepared, "exec_die", exit_code)
        prepared.streams.end()
        close_process(process)  # only now, as a session may still write to the terminal

    def _log_exec_event(self, prepared: Exec, action: str, exit_code: int | None = None) -> None:
        attributes = {"execID": prepared.id}
        if exit_code is not None:
            attributes["exitCode"] = str(exit_code)
        self.events.log_container(prepared.container, action, attributes)

    def exec_inspect(self, exec_id: str) -> Wire:
        """Describe a process (moby: ContainerExecInspect)."""
        prepared = self._exec(exec_id)
        request = prepared.request
        command = request.cmd or [""]
        return {
            "ID": prepared.id,
            "Running": prepared.running,
            "ExitCode": prepared.exit_code,
            "ProcessConfig": {
                "tty": request.tty,
                "entrypoint": command[0],
                "arguments": command[1:],
                "privileged": request.privileged,
                **({"user": request.user} if request.user else {}),
            },
            "OpenStdin": request.attach_stdin,
            "OpenStderr": request.attach_stderr,
            "OpenStdout": request.attach_stdout,
            "CanRemove": False,
            "ContainerID": prepared.container.id,
            "DetachKeys": b64encode(prepared.detach_keys if request.detach_keys else b"").decode(),
            "Pid": prepared.pid,
        }

    def exec_resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of an exec's terminal; nothing without one.

        Waits for the start, which the client may have asked for only just before.
        """
        prepared = self._active_exec(exec_id)
        if not prepared.started.wait(RESIZE_WAIT_S):
            raise EngineError("timeout waiting for exec session ready")
        prepared.streams.resize(self.runtime.resize, rows, columns)

    def running_execs(self, container: Container) -> list[str] | None:
        """Return the ids that inspect shows, None for none."""
        return [
            one.id
            for one in list(self.execs.values())
            if one.container is container and one.running
        ] or None

    def forget_unstarted(self, container: Container) -> None:
        """Forget what was prepared for a run that has ended, but was not started in it.

        The others can be asked for their exit code until the container is removed.
        """
        for one in list(self.execs.values()):
            if one.container is container and not one.running and one.exit_code is None:
                self.execs.pop(one.id, None)

    def forget(self, container: Container) -> None:
        """Forget the execs of a container that was removed."""
        for one in list(self.execs.values()):
            if one.container is container:
                self.execs.pop(one.id, None)

    def _forget_oldest(self) -> None:
        """Keep no more than EXECS_KEPT processes that have ended."""
        ended = [one.id for one in list(self.execs.values()) if one.exit_code is not None]
        for exec_id in ended[:-EXECS_KEPT]:
            self.execs.pop(exec_id, None)
