"""The instructions of an import."""

from __future__ import annotations

import pytest

from refimpl.daemon.changes import apply_changes
from refimpl.errors import InvalidParameter
from refimpl.model.wire_container import Config


def test_instructions_set_the_configuration():
    config = Config()
    apply_changes(
        config,
        [
            'CMD ["sh", "-l"]',
            "entrypoint exec sleep",
            'ENV A=1 B="x y"',
            "ENV C old form",
            "ENV A=2",
            "EXPOSE 80 53/udp",
            "LABEL k=v",
            "USER 1:2",
            "WORKDIR /a",
            "WORKDIR b",
            "STOPSIGNAL SIGINT",
        ],
    )
    assert config.cmd == ["sh", "-l"]
    assert config.entrypoint == ["/bin/sh", "-c", "exec sleep"]
    assert config.env == ["B=x y", "C=old form", "A=2"]
    assert config.exposed_ports == {"80/tcp": {}, "53/udp": {}}
    assert config.labels == {"k": "v"}
    assert (config.user, config.working_dir, config.stop_signal) == ("1:2", "/a/b", "SIGINT")


@pytest.mark.parametrize("line", ["BOGUS x", "RUN rm -rf /", ""])
def test_other_instruction_is_refused(line):
    with pytest.raises(InvalidParameter) as refusal:
        apply_changes(Config(), [line])
    assert str(refusal.value) == f"{line.split(' ')[0].lower()} is not a valid change command"


@pytest.mark.parametrize("line", ['ENV A="', "LABEL =x", "VOLUME [bad"])
def test_malformed_instruction_is_refused(line):
    with pytest.raises(InvalidParameter):
        apply_changes(Config(), [line])
