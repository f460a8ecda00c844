"""What a client is told when the OCI runtime could not start a process.

Mirrors: moby daemon/errors.go translateContainerdStartErr (v20.10).
"""

from __future__ import annotations

from refimpl.daemon.containers.container import Container
from refimpl.errors import EngineError, InvalidParameter


def translate_start_error(container: Container, failure: OSError) -> EngineError:
    """Turn the runtime's complaint into Docker's, and set the exit code that it stands for.

    Mirrors: moby daemon/errors.go translateContainerdStartErr (v20.10).
    """
    text = (
        "failed to create shim task: OCI runtime create failed: runc create failed: "
        f"{failure}: unknown"
    )
    code, error = exit_code_of(container.path, text)
    if code:
        container.state.exit_code = code
    return error


def exit_code_of(command: str, text: str) -> tuple[int, EngineError]:
    """Return the exit code that a runtime's complaint stands for, 0 for none, and the error."""
    lowered = text.lower()
    missing = ("executable file not found", "no such file or directory")
    if "not a directory" in lowered:
        return 127, InvalidParameter(
            f"{text}: Are you trying to mount a directory onto a file (or vice-versa)? Check if "
            "the specified host path exists and is the expected type"
        )
    if "permission denied" in lowered:
        return 126, InvalidParameter(text)
    if command.lower() in lowered and any(one in lowered for one in missing):
        return 127, InvalidParameter(text)
    return 0, EngineError(text)
