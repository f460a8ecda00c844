"""Goal: users are looked up as Docker does it, in files that a container can make anything."""

import os
import stat
from pathlib import Path

import pytest

from refimpl.kernel.files import LinuxFiles
from refimpl.oci.users import Identity, UnknownUser, resolve

READ = LinuxFiles().read_inside
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
bob:x:1000:1001::/home/bob:/bin/sh
broken
12345:x:77:78::/:/bin/sh
"""
GROUP = """\
root:x:0:
bobs:x:1001:
wheel:x:10:bob,alice
audio:x:29:bob
"""


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.mark.parametrize(
    ("user", "uid", "gid", "additional"),
    [
        ("", 0, 0, (0,)),
        ("root", 0, 0, (0,)),
        ("bob", 1000, 1001, (1001, 10, 29)),
        ("1000", 1000, 1001, (1001, 10, 29)),
        ("bob:wheel", 1000, 10, (10,)),
        ("bob:4242", 1000, 4242, (4242,)),
        ("4242", 4242, 0, (0,)),
        ("4242:29", 4242, 29, (29,)),
        (":audio", 0, 29, (29,)),
        ("12345", 77, 78, (78,)),
    ],
)
def test_user_is_looked_up_in_the_image(rootfs, user, uid, gid, additional) -> None:
    assert resolve(str(rootfs), user, READ) == Identity(
        uid=uid, gid=gid, additional_gids=additional
    )


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("0:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("0:-1", "uids and gids must be in range 0-2147483647"),
        ("²", "unable to find user ²: no matching entries in passwd file"),
    ],
)
def test_unknown_user_is_refused_in_dockers_words(rootfs, user, text) -> None:
    with pytest.raises(UnknownUser) as caught:
        resolve(str(rootfs), user, READ)
    assert str(caught.value) == text


def test_an_image_without_passwd_knows_numbers_only(tmp_path) -> None:
    assert resolve(str(tmp_path), "5:6", READ) == Identity(uid=5, gid=6, additional_gids=(6,))
    with pytest.raises(UnknownUser):
        resolve(str(tmp_path), "root", READ)


def test_links_are_followed_inside_the_image_only(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "real/passwd").write_text("eve:x:5:6::/:/bin/sh\n")
    (tmp_path / "etc/passwd").symlink_to("/real/../../../real/passwd")
    assert resolve(str(tmp_path), "eve", READ).uid == 5


def test_a_circle_of_links_is_an_image_without_the_file(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("group")
    (tmp_path / "etc/group").symlink_to("passwd")
    with pytest.raises(UnknownUser):
        resolve(str(tmp_path), "eve", READ)


def test_a_link_to_the_hosts_file_is_an_image_without_it(tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("eve:x:5:6::/:/bin/sh\n")
    (tmp_path / "root/etc").mkdir(parents=True)
    for target in (outside, "../../outside"):
        link = tmp_path / "root/etc/passwd"
        link.symlink_to(target)
        with pytest.raises(UnknownUser, match="unable to find user eve"):
            resolve(str(tmp_path / "root"), "eve", READ)
        link.unlink()


HUGE = "9" * 5000
OUT_OF_RANGE = "uids and gids must be in range 0-2147483647"


@pytest.mark.parametrize(
    ("passwd", "group", "user", "text"),
    [
        (f"x:x:{HUGE}:0::/:/", "", "x", OUT_OF_RANGE),
        (f"x:x:0:{HUGE}::/:/", "", "", OUT_OF_RANGE),
        (f"x:x:-{HUGE}:0::/:/", "", "x", OUT_OF_RANGE),
        ("x:x:0:0::/:/", f"g:x:{HUGE}:x", "x", OUT_OF_RANGE),
        ("x:x:0:0::/:/", f"g:x:{HUGE}:", "x:g", OUT_OF_RANGE),
        ("", "", HUGE, OUT_OF_RANGE),
        ("", "", f"0:{HUGE}", OUT_OF_RANGE),
    ],
)
def test_a_number_of_any_length_is_refused_where_it_counts(
    rootfs, passwd, group, user, text
) -> None:
    (rootfs / "etc/passwd").write_text(passwd)
    (rootfs / "etc/group").write_text(group)
    with pytest.raises(UnknownUser, match=f"^{text}$"):
        resolve(str(rootfs), user, READ)


def test_a_number_of_any_length_hinders_nobody_else(rootfs) -> None:
    (rootfs / "etc/passwd").write_text(f"{PASSWD}x:x:{HUGE}:0::/:/\n")
    (rootfs / "etc/group").write_text(f"{GROUP}x:x:{HUGE}:x\n")
    assert resolve(str(rootfs), "", READ).uid == 0
    assert resolve(str(rootfs), "bob", READ).additional_gids == (1001, 10, 29)
    assert resolve(str(rootfs), "0" * 5000 + "7", READ).uid == 7


@pytest.mark.parametrize(
    "line", [b"\0:x:1:1::/:/", b"\xff\xfe:x:1:1::/:/", b":" * 100_000, b"a" * 500_000, b"\0" * 9999]
)
def test_a_strange_line_hinders_nobody(rootfs, line) -> None:
    (rootfs / "etc/passwd").write_bytes(line + b"\n" + PASSWD.encode())
    assert resolve(str(rootfs), "bob", READ).uid == 1000


def test_only_a_newline_ends_a_line(rootfs) -> None:
    (rootfs / "etc/passwd").write_text("bob:x:9:9:\x0beve:x:0:0:\x85eve:x:0:0::/:/\n")
    with pytest.raises(UnknownUser):
        resolve(str(rootfs), "eve", READ)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 << 30)


@pytest.mark.parametrize("path", ["etc/passwd", "etc/group"])
@pytest.mark.parametrize("user", ["", "bob", "7:8"])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK), "is not a regular file"),
        (sparse, "is larger than 1048576 bytes"),
    ],
    ids=["pipe", "directory", "socket", "sparse"],
)
def test_a_file_that_the_runtime_would_hang_at_is_refused_by_name(
    rootfs, path, user, make, why
) -> None:
    (rootfs / path).unlink()
    make(rootfs / path)
    with pytest.raises(UnknownUser, match=f"^the container's /{path} {why}$"):
        resolve(str(rootfs), user, READ)
