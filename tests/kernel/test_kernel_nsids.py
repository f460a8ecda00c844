"""Goal: the newest sandbox has the smallest id in the daemon's namespace, where the kernel finds it
first; whatever ids are taken, a sandbox is made.

Method: `ip link` tells the id of the namespace in which the other end of a port is.
"""

import contextlib
import errno
import time

import pytest

from refimpl.kernel.base import SandboxPlan
from refimpl.kernel.linux import LinuxKernel
from refimpl.kernel.nsids import FIRST_ID, SKIPPED

NAMESPACES_GO_S = 10


@pytest.fixture(autouse=True)
def no_id_is_taken(ip) -> None:
    """Wait for the namespaces of earlier tests to end, as they do when the kernel likes."""
    deadline = time.monotonic() + NAMESPACES_GO_S
    while taken := ip("netns", "list-id"):
        assert time.monotonic() < deadline, taken
        time.sleep(0.02)


@pytest.fixture
def id_of_new(netns_directory, interface, ip):
    """Make a sandbox by a daemon's kernel, and return its namespace's id."""
    numbers = iter(range(2, 100))

    def make(kernel):
        number = next(numbers)
        plan = interface(number)
        kernel.create_sandbox(
            SandboxPlan(key=str(netns_directory / str(number)), interfaces=(plan,))
        )
        (link,) = ip("link", "show", plan.host_name)
        return link["link_netnsid"]

    return make


def test_ids_count_down_from_one_sandbox_to_the_next(kernel, id_of_new) -> None:
    first = id_of_new(kernel)
    kernel.expect_sandbox()  # the next is a spare, the one after that is made on the spot
    assert [first, id_of_new(kernel), id_of_new(kernel)] == [FIRST_ID, FIRST_ID - 1, FIRST_ID - 2]


def test_a_daemon_goes_round_the_ids_of_another(kernel, id_of_new) -> None:
    assert id_of_new(kernel) == FIRST_ID
    with contextlib.closing(LinuxKernel()) as other:
        assert [id_of_new(other) for _ in range(2)] == [FIRST_ID - SKIPPED, FIRST_ID - SKIPPED - 1]
    assert id_of_new(kernel) == FIRST_ID - 1


def test_where_everything_is_taken_the_kernel_chooses(kernel, id_of_new) -> None:
    with contextlib.ExitStack() as daemons:
        others = [daemons.enter_context(contextlib.closing(LinuxKernel())) for _ in range(3)]
        taken = [id_of_new(one) for one in (kernel, *others)]
        assert taken == [FIRST_ID, FIRST_ID - SKIPPED, FIRST_ID - 2 * SKIPPED, 0]
        assert id_of_new(others[-1]) == FIRST_ID - 3 * SKIPPED


def test_where_ids_cannot_be_given_the_kernel_chooses(kernel, id_of_new, monkeypatch) -> None:
    def refuse(_requests):
        raise PermissionError(errno.EPERM, "give a namespace an id: not permitted")

    monkeypatch.setattr(kernel._spares._ids._host, "run", refuse)
    assert [id_of_new(kernel), id_of_new(kernel)] == [0, 1]


def test_a_namespace_that_fails_at_its_id_leaves_no_descriptor(
    kernel, id_of_new, open_descriptors, monkeypatch
) -> None:
    assert id_of_new(kernel) == FIRST_ID
    before = open_descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(kernel._spares._ids, "give", lambda _namespace: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            id_of_new(kernel)
    assert open_descriptors() == before
    assert id_of_new(kernel) == FIRST_ID - 1
