"""What a client's SecurityOpt says.

`apparmor=` and `label=` are taken and change nothing: as in Docker on a host without them.

Mirrors: moby daemon/daemon_unix.go parseSecurityOpt (v20.10).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from refimpl.errors import EngineError
from refimpl.model.strconv import parse_bool

_IGNORED = {"apparmor", "label"}


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """What is meant by them."""

    seccomp_profile: str = ""
    """See `ContainerSpec.seccomp_profile`."""
    no_new_privileges: bool = False


def read_security_options(options: Iterable[str]) -> SecurityOptions:
    """Read options as `docker run --security-opt` takes them; the last of a kind counts.

    A profile's text is not looked at: Docker does so at the start.

    Raises:
        EngineError: one is none of Docker's.
    """
    profile, no_new_privileges = "", False
    for option in options:
        if option == "no-new-privileges":
            no_new_privileges = True
            continue
        if option == "disable":  # label=disable, as it was once written
            continue
        name, separator, value = option.partition("=" if "=" in option else ":")
        if not separator:
            raise _invalid(1, option)
        if name == "seccomp":
            profile = value
        elif name == "no-new-privileges":
            try:
                no_new_privileges = parse_bool(value)
            except ValueError:
                raise _invalid(2, option) from None
        elif name not in _IGNORED:
            raise _invalid(2, option)
    return SecurityOptions(profile, no_new_privileges)


def _invalid(place: int, option: str) -> EngineError:
    return EngineError(f"invalid --security-opt {place}: {json.dumps(option, ensure_ascii=False)}")
