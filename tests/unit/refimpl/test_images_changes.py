"""The instructions of an import; the texts are Docker 20.10.24's."""

from __future__ import annotations

import pytest

from refimpl.daemon.images.changes import apply_changes
from refimpl.errors import InvalidParameter
from refimpl.model.wire_container import Config, HealthConfig

NO_STRINGS = "when using JSON array syntax, arrays must be comprised of strings only"


def changed(*lines: str) -> Config:
    config = Config()
    apply_changes(config, lines)
    return config


def test_instructions_set_the_configuration():
    config = changed(
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
        'VOLUME ["/v"]',
        "VOLUME /w /x",
        "ONBUILD RUN y",
        "HEALTHCHECK --interval=5s none",
    )
    assert config.cmd == ["sh", "-l"]
    assert config.entrypoint == ["/bin/sh", "-c", "exec sleep"]
    assert config.env == ["B=x y", "C=old form", "A=2"]
    assert config.exposed_ports == {"80/tcp": {}, "53/udp": {}}
    assert config.labels == {"k": "v"}
    assert (config.user, config.working_dir) == ("1:2", "/a/b")
    assert config.volumes == {"/v": {}, "/w": {}, "/x": {}}
    assert config.on_build == ["RUN y"]
    assert config.healthcheck == HealthConfig(test=["NONE"])


@pytest.mark.parametrize("line", ["BOGUS x", "RUN rm -rf /", "STOPSIGNAL FOO", "SHELL x"])
def test_other_instruction_is_refused(line):
    with pytest.raises(InvalidParameter) as refusal:
        changed(line)
    assert str(refusal.value) == f"{line.split(' ')[0].lower()} is not a valid change command"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "file with no instructions"),
        ("# CMD x", "file with no instructions"),
        ("VOLUME [{}]", NO_STRINGS),
        ('VOLUME ["/a", null]', NO_STRINGS),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK BOGUS", 'Unknown type "BOGUS" in HEALTHCHECK (try CMD)'),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME []", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("CMD [1]", NO_STRINGS),
        ("ENTRYPOINT [[]]", NO_STRINGS),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV =x", "ENV names can not be blank"),
        ("LABEL =x", "LABEL names can not be blank"),
        (
            "ENV A=1 B",
            'Syntax error - can\'t find = in "B". Must be of the form: name=value',
        ),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE foo", "Invalid containerPort: foo"),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("EXPOSE 80-70", "Invalid containerPort: 80-70"),
        ("EXPOSE -1", "Invalid containerPort: -1"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("EXPOSE " + "9" * 5000, "Invalid containerPort: " + "9" * 5000),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ENV A=1\nRUN x", "run is not a valid change command"),
    ],
)
def test_malformed_instruction_is_refused_as_docker_refuses_it(line, text):
    with pytest.raises(InvalidParameter) as refusal:
        changed(line)
    assert str(refusal.value) == text


@pytest.mark.parametrize("line", ['ENV A="', "ENV A=" + "x" * 70_000])
def test_line_that_cannot_be_read_is_refused(line):
    with pytest.raises(InvalidParameter):
        changed(line)


def test_number_of_instructions_and_of_ports_is_bounded():
    with pytest.raises(InvalidParameter, match="more than 100 changes"):
        changed("\n".join(["USER x"] * 101))
    with pytest.raises(InvalidParameter, match="too many ports"):
        changed("EXPOSE " + "1-65535 " * 4)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("CMD {}", ["/bin/sh", "-c", "{}"]),
        ("CMD [bad", ["/bin/sh", "-c", "[bad"]),
        ("CMD " + "[" * 3000, ["/bin/sh", "-c", "[" * 3000]),
    ],
)
def test_what_is_no_json_is_the_shell_form(line, command):
    assert changed(line).cmd == command


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        ("EXPOSE 80-82/udp", {"80/udp", "81/udp", "82/udp"}),
        ("EXPOSE 80:81", {"81/tcp"}),
        ("EXPOSE 0 80/", {"0/tcp", "80/tcp"}),
        ("EXPOSE 80/TCP", {"80/tcp"}),
    ],
)
def test_ports_are_read_as_docker_reads_them(line, ports):
    assert set(changed(line).exposed_ports or ()) == ports


def test_a_working_directory_is_clean():
    assert changed("WORKDIR ../..").working_dir == "/"
    assert changed("WORKDIR a/./b//c").working_dir == "/a/b/c"
