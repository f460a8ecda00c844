"""A real dockerd, started by the suite on its own state, beside whatever runs on the machine.

`--engine dockerd:/path` is one that somebody has just built. What it starts itself comes from its
own folder where it is there, else from PATH.
"""

import json
import re
import shutil
from pathlib import Path

from conformance.engines.containerd import forget_dead_containerd
from conformance.engines.kinds import EngineKind
from conformance.engines.machine import environment_of
from conformance.engines.managed import METRICS_ADDRESS, ManagedEngine
from conformance.engines.program import (
    ask,
    missing_on,
    own_folders,
    search_path,
    why_missing,
    why_no_program,
)
from conformance.engines.settings import EngineSettings, path_of_argument, settings_of_argument

COMPANIONS = ("containerd", "runc", "docker-proxy", "docker-init")
# Dockers from 27 on look into other folders first: these options name the file itself.
_NAMED_BY_OPTION = {"docker-proxy": "userland-proxy-path", "docker-init": "init-path"}
_VERSION = re.compile(r"^Docker version \S+", re.MULTILINE)


class DockerdEngine(ManagedEngine):
    """A dockerd with a configuration file of its own."""

    networks_kept = "network/files/local-kv.db"

    def why_not_built(self) -> str:
        """Say why what somebody built is no dockerd that can run here; "" = it may be one."""
        program = Path(self.settings.argument)
        if reason := why_no_program(program):
            return reason
        version = ask([program, "--version"], self.environment())
        if reason := version.why_not(_VERSION):
            return f"{program} is no dockerd: asked for its --version it {reason}"
        if "--data-root" not in self.help_text():
            return (
                f"{program} is no dockerd: its --help has no option --data-root; is it Docker's "
                "command line?"
            )
        path = self.environment()["PATH"]
        return why_missing(program, path, missing_on(path, COMPANIONS))

    def environment(self) -> dict[str, str]:
        """Give the daemon's environment: the folder of one that somebody built is first in PATH."""
        found = environment_of(self.tree)
        if self.settings.argument:
            found["PATH"] = search_path(Path(self.settings.argument), found["PATH"])
        return found

    def _own_companions(self) -> dict[str, str]:
        """Name by option the companions in the own folder of one that somebody built."""
        if not self.settings.argument:
            return {}
        folders = ":".join(map(str, own_folders(Path(self.settings.argument))))
        found = {key: shutil.which(name, path=folders) for name, key in _NAMED_BY_OPTION.items()}
        return {key: path for key, path in found.items() if path}

    def command_line(self) -> list[str]:
        """Write the configuration and give the command that reads it."""
        config = {
            "data-root": str(self.data_root),
            "exec-root": str(self.exec_root),
            "pidfile": str(self.pid_file),
            "hosts": [self.address],
            "metrics-addr": METRICS_ADDRESS,
            # 20.10 serves metrics only with this.
            "experimental": True,
            "log-level": "info",
            # A tree of control groups of its own, so that what killed containers leave is found.
            "cgroup-parent": f"/{self.netns_name}",
            **self._own_companions(),
            **self.config,
        }
        path = self.folder / "daemon.json"
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return [*self.words(), "--config-file", str(path)]

    def prepare_resume(self) -> None:
        """Let the old containerd end, so that dockerd starts a new one."""
        if forget_dead_containerd(self.exec_root):
            self.note("removed the pid file of the dead containerd")


def settings_of(argument: str) -> EngineSettings:
    """Read what follows `dockerd:`; the path of a program.

    Raises:
        SettingsError: it is no path.
    """
    path = path_of_argument("dockerd", argument)
    return settings_of_argument("dockerd", path, family="docker", word="built", command=(path,))


KIND = EngineKind(settings_of=settings_of, make=DockerdEngine)
