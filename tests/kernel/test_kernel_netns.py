"""Goal: every sandbox gets a namespace that nobody had before, whatever was begun ahead of it."""

from pathlib import Path

import pytest

from refimpl.kernel.base import SandboxPlan
from tests.mount_table import mounts_below

OWN = Path("/proc/thread-self/ns/net")


def inode(path):
    return path.stat().st_ino


@pytest.mark.parametrize("times", [0, 1, 2])
def test_expected_sandboxes_are_namespaces_of_their_own(kernel, netns_directory, ip, times) -> None:
    keys = [netns_directory / name for name in ("first", "second", "third")]
    for key in keys:
        for _ in range(times):
            kernel.expect_sandbox()
        kernel.create_sandbox(SandboxPlan(key=str(key)))
        ip("link", "add", "mark", "type", "bridge", key=str(key))
    assert len({inode(OWN), *map(inode, keys)}) == 4


def test_a_visit_elsewhere_after_the_expectation_leads_nobody_astray(
    kernel, netns_directory, ip
) -> None:
    other, key = netns_directory / "other", netns_directory / "key"
    kernel.create_sandbox(SandboxPlan(key=str(other)))
    ip("link", "add", "mark", "type", "bridge", key=str(other))
    kernel.expect_sandbox()
    for one in kernel.open_resolver(str(other), "127.0.0.11"):
        one.close()
    kernel.create_sandbox(SandboxPlan(key=str(key)))
    assert len({inode(OWN), inode(other), inode(key)}) == 3
    assert [link["ifname"] for link in ip("link", key=str(key))] == ["lo"]


def test_expected_sandbox_that_fails_leaves_the_next_one_whole(kernel, netns_directory, ip) -> None:
    taken, key = netns_directory / "taken", netns_directory / "key"
    kernel.create_sandbox(SandboxPlan(key=str(taken)))
    kernel.expect_sandbox()
    with pytest.raises(FileExistsError):
        kernel.create_sandbox(SandboxPlan(key=str(taken)))
    kernel.create_sandbox(SandboxPlan(key=str(key)))
    assert len({inode(OWN), inode(taken), inode(key)}) == 3
    assert [link["ifname"] for link in ip("link", key=str(key))] == ["lo"]


def test_expectation_alone_changes_nothing_that_anybody_sees(kernel, netns_directory, ip) -> None:
    links, mounts = kernel.links(), mounts_below(str(netns_directory))
    kernel.expect_sandbox()
    kernel.create_sandbox(SandboxPlan(key=str(netns_directory / "key")))
    kernel.expect_sandbox()
    kernel.destroy_sandbox(str(netns_directory / "key"))
    assert kernel.links() == links
    assert mounts_below(str(netns_directory)) == mounts
    assert list(netns_directory.iterdir()) == []
