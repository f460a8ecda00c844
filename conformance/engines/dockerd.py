"""A real dockerd, started by the suite on its own state, beside whatever runs on the machine."""

import json

from conformance.engines.managed import METRICS_ADDRESS, ManagedEngine
from conformance.engines.processes import is_alive


class DockerdEngine(ManagedEngine):
    """The machine's dockerd with a configuration file of its own."""

    networks_kept = "network/files/local-kv.db"

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
            **self.config,
        }
        path = self.folder / "daemon.json"
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return [*self.settings.command, "--config-file", str(path)]

    def prepare_resume(self) -> None:
        """Drop the pid file of a containerd that is dead but not yet reaped.

        dockerd takes a zombie of that number for a living containerd and waits 15 s for it. A
        machine whose process 1 reaps at once never shows this; one in a container or a micro-VM
        does.
        """
        pid_file = self.exec_root / "containerd" / "containerd.pid"
        if pid_file.exists() and not is_alive(int(pid_file.read_text(encoding="ascii"))):
            pid_file.unlink()
            self.note("removed the pid file of the dead containerd")
