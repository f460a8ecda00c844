"""Can the fuzzer fail? It must find one defect each, planted in the reference."""

from __future__ import annotations

import os
import textwrap

import pytest

from tests.fuzz.field import Fault, open_field
from tests.fuzz.test_fuzz import fuzz

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts a daemon"),
    pytest.mark.timeout(240),
]
SHOTS = 200

DEFECTS = {
    "an exception": (
        """
        def flag(self, name, *, default=False):
            if self.text(name) in {"T", "tRuE", "no", "-1", "2"}:
                raise ValueError("planted")
            return whole(self, name, default=default)
        """,
        "planted",
    ),
    "a thread that stays": (
        """
        def flag(self, name, *, default=False):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            return whole(self, name, default=default)
        """,
        "threads more than before",
    ),
    "a descriptor that stays": (
        """
        def flag(self, name, *, default=False):
            os.open("/dev/null", os.O_RDONLY)
            return whole(self, name, default=default)
        """,
        "descriptors more than before",
    ),
    "memory that stays": (
        """
        kept = []
        def flag(self, name, *, default=False):
            kept.append(b"x" * (2 << 20))
            return whole(self, name, default=default)
        """,
        "MB more in memory",
    ),
    "a request that stops all others": (
        """
        import ctypes
        slept = []
        def flag(self, name, *, default=False):
            slept.append(True)
            if len(slept) == 40:
                ctypes.PyDLL(None).sleep(7)  # holds the interpreter's lock
            return whole(self, name, default=default)
        """,
        "a ping took more than",
    ),
    "an error without its text": (
        """
        flag = whole
        from refimpl.api.connection import Connection
        send_whole = Connection.send_whole
        def send(self, status, headers, body):
            send_whole(self, status, headers, b"x" * len(body) if status == 404 else body)
        Connection.send_whole = send
        """,
        "malformed",
    ),
}


def _program(defect: str) -> tuple[str, ...]:
    """Give the command of a reference in which the reading of truth values is defective."""
    text = (
        "import os, runpy, sys, threading\n"
        "from refimpl.api.request import Request\n"
        "whole = Request.flag\n"
        f"{textwrap.dedent(defect)}\n"
        "Request.flag = flag\n"
        "sys.argv[0] = 'refimpl'\n"
        "runpy.run_module('refimpl', run_name='__main__', alter_sys=True)\n"
    )
    return ("{python}", "-c", text)


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(defect):
    code, words = DEFECTS[defect]
    with (
        open_field("p", settle_s=2, program=_program(code)) as field,
        pytest.raises(Fault, match=words) as found,
    ):
        fuzz(field, SHOTS, begins_with=1)
    assert "Shot(" in str(found.value)
