import os

import pytest

from refimpl.errors import InvalidParameter
from refimpl.model.platform import Platform, own_platform, parse_platform


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("linux/amd64", "linux/amd64"),
        ("LINUX/x86_64", "linux/amd64"),
        ("linux/amd64/v8", "linux/amd64"),
        ("linux/aarch64/v8", "linux/arm64"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("bogus/amd64", "bogus/amd64"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_platform_is_read(text, wanted):
    assert str(parse_platform(text)) == wanted


def test_what_is_left_out_is_this_machines(monkeypatch):
    assert parse_platform("linux") == own_platform()
    machine = os.uname_result(("Linux", "n", "r", "v", "aarch64"))
    monkeypatch.setattr(os, "uname", lambda: machine)
    assert parse_platform("linux") == Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        (
            " ",
            '" " is an invalid component of " ": platform specifier component must match '
            '"^[A-Za-z0-9_-]+$": invalid argument',
        ),
        ("linux/", '"" is an invalid component of "linux/"'),
        ("nothing", '"nothing": unknown operating system or architecture: invalid argument'),
    ],
)
def test_what_is_no_platform_is_refused(text, complaint):
    with pytest.raises(InvalidParameter) as caught:
        parse_platform(text)
    assert str(caught.value).startswith(complaint)
