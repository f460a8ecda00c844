"""Podman's service of the Docker-compatible API, on its own state.

`--engine podman:/path` is one that somebody has just built. Its companions come from its own folder
where they are there, else from PATH, else from where distributions put them.
"""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from conformance.engines.kinds import EngineKind
from conformance.engines.machine import cgroup_of, environment_of
from conformance.engines.managed import ManagedEngine
from conformance.engines.program import (
    Answer,
    ask,
    missing_on,
    search_path,
    why_missing,
    why_no_program,
)
from conformance.engines.settings import EngineSettings, path_of_argument, settings_of_argument

COMPANIONS = ("conmon", "netavark", "aardvark-dns")
RUNTIMES = ("crun", "runc")
# Where distributions keep what only Podman calls.
HELPER_FOLDERS = (
    "/usr/local/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/libexec/podman",
    "/usr/lib/podman",
)
ANY_IMAGE = {"default": [{"type": "insecureAcceptAnything"}]}
# From this major version on it knows control groups of version 2 only.
OWN_CGROUP_FROM = 6
# It calls itself by the name of its file.
_VERSION = re.compile(r"^\S+ version (\d+)\.", re.MULTILINE)

# Podman limits each container to 2,048 processes; its runtime then refuses to start any container
# where the kernel counts no processes in control groups of version 2.
NO_PIDS_LIMIT = "[containers]\npids_limit = 0\n"


class PodmanEngine(ManagedEngine):
    """`podman system service` with folders of its own for everything that it keeps."""

    # crun refuses a machine that mounts both versions of control groups.
    hidden_mount = "/sys/fs/cgroup/unified"
    # The state of its name server and of its firewall, its sandboxes, and its locks.
    emptied_folders = ("/run/containers", "/run/libpod", "/run/netns", "/dev/shm")  # noqa: S108
    networks_kept = "networks"
    containers_outlive_it = True

    def why_not_built(self) -> str:
        """Say why what somebody built is no Podman that can run here; "" = it may be one."""
        program = Path(self.settings.argument)
        if reason := why_no_program(program):
            return reason
        if reason := _version_of(program).why_not(_VERSION):
            return f"{program} is no podman: asked for its --version it {reason}"
        if "--network-config-dir" not in self.help_text():
            return f"{program} is no podman from 4.0 on: its --help lacks --network-config-dir"
        path = _search_path(program)
        missing = missing_on(path, COMPANIONS)
        if len(missing_on(path, RUNTIMES)) == len(RUNTIMES):
            missing.append(" or ".join(RUNTIMES))
        return why_missing(program, path, missing)

    def environment(self) -> dict[str, str]:
        """Give its environment; one that somebody built reads no configuration but the suite's."""
        found = environment_of(self.tree)
        if self.settings.argument:
            found["PATH"] = _search_path(Path(self.settings.argument))
            # Not before it is written: Podman would not even print its --help.
            if self._configuration.exists():
                found["CONTAINERS_CONF"] = str(self._configuration)
                found["HOME"] = str(self.folder / "home")
        return found

    @property
    def _configuration(self) -> Path:
        return self.folder / "built.conf"

    def _write_configuration(self) -> None:
        """Write where the companions of one that somebody built are, and whose images it takes."""
        path = self.environment()["PATH"]
        runtime = next(name for name in RUNTIMES if shutil.which(name, path=path))
        lines = [
            "[engine]",
            f"conmon_path = {json.dumps([shutil.which('conmon', path=path)])}",
            f"helper_binaries_dir = {json.dumps(path.split(os.pathsep))}",
            f"runtime = {json.dumps(runtime)}",
            "[engine.runtimes]",
            f"{runtime} = {json.dumps([shutil.which(runtime, path=path)])}",
        ]
        text = "\n".join(lines) + "\n"
        self._configuration.write_text(text, encoding="utf-8")
        # Podman imports nothing without a policy, and a machine without Podman has none.
        policy = self.folder / "home" / ".config" / "containers" / "policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text(json.dumps(ANY_IMAGE), encoding="utf-8")

    def command_line(self) -> list[str]:
        """Give the command; options go before the subcommand, as podman wants it."""
        if self.settings.argument:
            self._write_configuration()
        flags = {
            "root": self.data_root,
            "runroot": self.exec_root,
            "tmpdir": self.exec_root / "tmp",
            "network-config-dir": self.data_root / "networks",
            "volumepath": self.data_root / "volumes",
            # systemd and its journal are not in the tree.
            "cgroup-manager": "cgroupfs",
            "events-backend": "file",
            "log-level": "info",
            **self.config,
        }
        if self.settings.own_cgroup and not self._counts_processes():
            module = self.folder / "containers.conf"
            module.write_text(NO_PIDS_LIMIT, encoding="utf-8")
            flags["module"] = module
        # Words of their own: a process is found by the path that one of them begins with.
        options = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
        service = ["system", "service", "--time=0", self.address]
        return [*self.words(), *options, *service]

    def _counts_processes(self) -> bool:
        controllers = cgroup_of(self.netns_name) / "cgroup.controllers"
        return "pids" in controllers.read_text(encoding="utf-8").split()


def _search_path(program: Path) -> str:
    return search_path(program, environment_of(None)["PATH"], HELPER_FOLDERS)


def _version_of(program: Path) -> Answer:
    return ask([program, "--version"], environment_of(None))


def settings_of(argument: str) -> EngineSettings:
    """Read what follows `podman:`; the path of a program.

    Raises:
        SettingsError: it is no path.
    """
    path = path_of_argument("podman", argument)
    found = settings_of_argument("podman", path, family="podman", word="built", command=(path,))
    # What is no program is said later, where it is asked for.
    version = None if why_no_program(Path(path)) else _VERSION.search(_version_of(Path(path)).text)
    return replace(found, own_cgroup=version is not None and int(version[1]) >= OWN_CGROUP_FROM)


KIND = EngineKind(settings_of=settings_of, make=PodmanEngine)
