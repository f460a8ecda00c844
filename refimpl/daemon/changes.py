"""The instructions that an import may carry: the part of a Dockerfile that sets a configuration.

Mirrors: moby builder/dockerfile/evaluator.go BuildFromConfig, validCommitCommands (v20.10).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence

from refimpl.errors import InvalidParameter
from refimpl.model.wire import Document
from refimpl.model.wire_container import Config


def apply_changes(config: Config, changes: Sequence[str]) -> None:
    """Apply instructions such as `CMD ["sh"]` to a configuration.

    Raises:
        InvalidParameter: an instruction is unknown or malformed.
    """
    for line in changes:
        keyword, _, rest = line.strip().partition(" ")
        change = _CHANGES.get(keyword.upper())
        if change is None:
            raise InvalidParameter(f"{keyword.lower()} is not a valid change command")
        try:
            change(config, rest.strip())
        except ValueError as error:
            raise InvalidParameter(f"{keyword.upper()}: {error}") from error


def _command(text: str) -> list[str]:
    """Read the JSON form of a command, else wrap the shell form."""
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return ["/bin/sh", "-c", text]


def _pairs(text: str) -> dict[str, str]:
    """Read `A=1 B="x y"`, or the old form `A x y`."""
    words = shlex.split(text)
    if words and "=" not in words[0]:
        key, _, value = text.partition(" ")
        return {key: value.strip()}
    return dict(_pair(word) for word in words)


def _pair(word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not separator or not key:
        raise ValueError(f"cannot read {word!r} as KEY=VALUE")
    return key, value


def _cmd(config: Config, text: str) -> None:
    config.cmd = _command(text)


def _entrypoint(config: Config, text: str) -> None:
    config.entrypoint = _command(text)


def _env(config: Config, text: str) -> None:
    given = _pairs(text)
    kept = [one for one in config.env or [] if one.partition("=")[0] not in given]
    config.env = kept + [f"{key}={value}" for key, value in given.items()]


def _expose(config: Config, text: str) -> None:
    ports: dict[str, Document] = {
        word if "/" in word else f"{word}/tcp": {} for word in text.split()
    }
    config.exposed_ports = {**(config.exposed_ports or {}), **ports}


def _label(config: Config, text: str) -> None:
    config.labels = {**(config.labels or {}), **_pairs(text)}


def _user(config: Config, text: str) -> None:
    config.user = text


def _volume(config: Config, text: str) -> None:
    names = json.loads(text) if text.startswith("[") else text.split()
    config.volumes = {**(config.volumes or {}), **{name: {} for name in names}}


def _workdir(config: Config, text: str) -> None:
    base = config.working_dir.rstrip("/")
    config.working_dir = text if text.startswith("/") else f"{base}/{text}"


def _onbuild(config: Config, text: str) -> None:
    config.on_build = [*(config.on_build or []), text]


def _stopsignal(config: Config, text: str) -> None:
    config.stop_signal = text


_CHANGES: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
