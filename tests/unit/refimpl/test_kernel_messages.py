"""Goal: the daemon loads few of pyroute2's modules, and whoever wants the library has all of it.

Method: new interpreters.
"""

import subprocess
import sys

import pytest


def run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=30
    ).stdout


def test_the_messages_come_alone() -> None:
    script = (
        "import sys, refimpl.kernel.netlink\n"
        "print([one for one in sys.modules if one.startswith(('pyroute2.ndb', 'asyncio'))])"
    )
    assert run(script) == "[]\n"


@pytest.mark.parametrize("first", ["import pyroute2; ", ""])
def test_the_library_is_whole_before_and_afterwards(first) -> None:
    script = (
        f"{first}import refimpl.kernel.netlink as ours\n"
        "import pyroute2, pyroute2.netlink.rtnl.ifinfmsg as theirs\n"
        "from pyroute2 import NDB, IPRoute\n"
        "print(theirs.ifinfmsg.__name__, pyroute2.NDB is NDB, IPRoute.__name__)\n"
        "print(ours.ifinfmsg.__name__, pyroute2.netlink.rtnl.__name__)\n"
    )
    assert run(script) == "ifinfmsg True IPRoute\nifinfmsg pyroute2.netlink.rtnl\n"
