"""Run a program to which the kernel refuses a system call, as sandboxes and small kernels do.

python sandbox.py memfd COMMAND...    memfd_create(2) is not permitted
python sandbox.py ipv6 COMMAND...     there are no IPv6 sockets
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from typing import Final

_NUMBERS: Final = {"x86_64": {"memfd": 319, "ipv6": 41}, "aarch64": {"memfd": 279, "ipv6": 198}}
"""memfd_create and socket."""
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x0005_0000, 0x7FFF_0000


def refuse(kind: str) -> None:
    """Have the kernel refuse one kind of call to this process and all that it becomes."""
    number = _NUMBERS[platform.machine()][kind]
    if kind == "memfd":
        steps = [(_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    else:
        steps = [
            (_LOAD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 3, number),
            (_LOAD, 0, 0, 16),  # the first argument
            (_JUMP_IF_EQUAL, 0, 1, socket.AF_INET6),
            (_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT),
        ]
    program = b"".join(struct.pack("=HBBI", *step) for step in [*steps, (_RETURN, 0, 0, _ALLOW)])
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, ctypes.addressof(header), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(one) for one in arguments)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is what is meant
