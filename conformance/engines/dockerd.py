"""A real dockerd, started by the suite on its own state, beside whatever runs on the machine."""

import json

from conformance.engines.managed import METRICS_ADDRESS, ManagedEngine


class DockerdEngine(ManagedEngine):
    """The machine's dockerd with a configuration file of its own."""

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
            **self.config,
        }
        path = self.folder / "daemon.json"
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return [*self.settings.command, "--config-file", str(path)]
