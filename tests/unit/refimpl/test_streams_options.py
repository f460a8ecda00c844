"""The logging drivers' options: Docker 20.10's texts, and what the values come to."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.daemon.streams.json_log import container_log_path, open_container_log
from refimpl.daemon.streams.log_files import LogLimits
from refimpl.daemon.streams.log_options import (
    LogOptions,
    log_options,
    parse_size,
    validate_log_config,
)
from refimpl.errors import EngineError, InvalidParameter, NotServed
from refimpl.model.wire_container import LogConfig
from tests.unit.refimpl.streams_world import NOW, container

INIT = "failed to initialize logging driver: "
PLUGIN = 'error looking up logging plugin weird: plugin "weird" not found'


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        ("weird", {}, PLUGIN),
        ("json-file", {"nope": "1"}, "unknown log opt 'nope' for json-file log driver"),
        ("", {"nope": "1"}, "unknown log opt 'nope' for json-file log driver"),
        ("local", {"labels": "x"}, "unknown log opt 'labels' for log driver local"),
        ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            "json-file",
            {"mode": "non-blocking", "max-buffer-size": "x"},
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
    ],
)
def test_what_a_create_refuses(driver: str, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        validate_log_config(LogConfig(type=driver, config=options))
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("", None),
        ("json-file", {"max-size": "bad values are refused at the start"}),
        ("json-file", {"labels": "a", "env": "b", "tag": "c", "compress": "x", "max-file": "y"}),
        ("json-file", {"mode": "", "labels-regex": ""}),
        ("json-file", {"mode": "blocking"}),
        ("local", {"mode": "non-blocking", "max-buffer-size": "1m"}),
        ("none", {"mode": "x", "max-size": "1k"}),
    ],
)
def test_what_a_create_takes(driver: str, options: dict[str, str] | None) -> None:
    validate_log_config(LogConfig(type=driver, config=options))


def test_what_cannot_be_applied_is_refused_and_not_ignored() -> None:
    for name in ("labels-regex", "env-regex"):
        with pytest.raises(NotServed, match=name):
            validate_log_config(LogConfig(type="json-file", config={name: "a.*"}))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max-size": "x"}, "invalid size: 'x'"),
        ({"max-size": "-1"}, "invalid size: '-1'"),
        ({"max-size": ""}, "invalid size: ''"),
        ({"max-size": "10x"}, "invalid size: '10x'"),
        ({"max-size": "1KiBx"}, "invalid size: '1KiBx'"),
        ({"max-size": ".5k"}, "invalid size: '.5k'"),
        ({"max-size": "1e3"}, "invalid size: '1e3'"),
        ({"max-size": "0"}, "max-size must be a positive number"),
        ({"max-size": "99999999p"}, "max-size must be a positive number"),
        ({"max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "-3"}, "max-file cannot be less than 1"),
        ({"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"max-file": ""}, 'strconv.Atoi: parsing "": invalid syntax'),
        ({"max-file": "9" * 30}, f'strconv.Atoi: parsing "{"9" * 30}": value out of range'),
        ({"max-file": "1001"}, "max-file cannot be more than 1000"),
        (
            {"compress": "true"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (
            {"compress": "true", "max-size": "1k"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ({"compress": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ({"labels": "long"}, "labels and env are longer than 16384 bytes"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_a_start_refuses_of_json_file(options: dict[str, str], text: str) -> None:
    one = container(log="json-file", options=options, labels={"long": "x" * 20_000})
    with pytest.raises(EngineError) as refusal:
        log_options(one)
    assert (refusal.value.status, str(refusal.value)) == (500, INIT + text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        (
            {"max-file": "x"},
            'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax',
        ),
        ({"max-file": "0"}, "compression cannot be enabled when max file count is 1"),
        ({"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        (
            {"compress": "maybe"},
            'error reading compress log option: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
    ids=str,
)
def test_what_a_start_refuses_of_local(options: dict[str, str], text: str) -> None:
    with pytest.raises(EngineError) as refusal:
        log_options(container(log="local", options=options))
    assert (refusal.value.status, str(refusal.value)) == (500, INIT + text)


@pytest.mark.parametrize(
    ("driver", "options", "limits"),
    [
        ("", None, LogLimits()),
        ("json-file", {"max-size": "1.5k"}, LogLimits(max_bytes=1500)),
        ("json-file", {"max-file": "3"}, LogLimits(max_files=3)),
        (
            "json-file",
            {"max-size": "10m", "max-file": "3", "compress": "T"},
            LogLimits(max_bytes=10_000_000, max_files=3, compress=True),
        ),
        ("local", None, LogLimits(max_bytes=20 << 20, max_files=5, compress=True)),
        (
            "local",
            {"max-size": "1k", "max-file": "1", "compress": "false"},
            LogLimits(max_bytes=1024, max_files=1),
        ),
        ("none", {"max-size": "x"}, LogLimits()),
    ],
)
def test_what_the_options_come_to(
    driver: str, options: dict[str, str] | None, limits: LogLimits
) -> None:
    assert log_options(container(log=driver, options=options)) == LogOptions(limits=limits)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("10", 10), ("10b", 10), ("1 KiB", 1000), ("2Mb", 2_000_000), ("1g", 10**9), ("1.5K", 1500)],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert parse_size(text, 1000) == bytes_


def test_labels_variables_and_a_tag_become_attributes() -> None:
    one = container(
        log="json-file",
        options={"labels": "x,nope", "env": "E1,E2", "tag": "{{.Name}}/{{ .ID }}"},
        labels={"x": "1", "y": "2"},
        env=["E1=v=1", "E3=q", "E2"],
    )
    assert log_options(one).attributes == {"x": "1", "E1": "v=1", "tag": f"web/{one.id[:12]}"}


@pytest.mark.parametrize("tag", ["{{.Nope}}", "{{", "{{if .Name}}x{{end}}"])
def test_a_tag_that_is_not_served_is_refused(tag: str) -> None:
    with pytest.raises(NotServed):
        log_options(container(log="json-file", options={"tag": tag}))


@pytest.mark.parametrize(
    ("driver", "shown", "written"),
    [
        ("", "/c/{id}-json.log", "/c/{id}-json.log"),
        ("json-file", "/c/{id}-json.log", "/c/{id}-json.log"),
        ("local", "", "/c/local-logs/container.log"),
        ("none", "", None),
    ],
)
def test_where_a_log_is(driver: str, shown: str, written: str | None) -> None:
    one = container(log=driver)
    assert container_log_path(one) == shown.format(id=one.id)
    log: Any = open_container_log(one, lambda: NOW)
    assert (log and log.files.path) == (written and written.format(id=one.id))
