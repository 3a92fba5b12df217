#!/usr/bin/env python3
"""Runs a program that gets no netlink sockets: without-netlink.py PROGRAM ARGUMENTS…

QEMU 7.2 hands a big-endian program netlink attributes of length 0, over which musl's getifaddrs never gets. Without such
sockets the program finds no network interfaces, and goes on.
"""
import ctypes
import os
import platform
import struct
import sys

AF_NETLINK, EAFNOSUPPORT = 16, 97
# The number of the system call `socket` by processor of this machine, which runs the emulator.
SOCKET = {"x86_64": 41, "aarch64": 198}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000


def filter_code(socket):
    """Of classic BPF over the call's number (at 0) and the low half of its first argument (at 16)."""
    steps = [
        (LOAD, 0, 0, 0),
        (JUMP_IF_EQUAL, 0, 3, socket),
        (LOAD, 0, 0, 16),
        (JUMP_IF_EQUAL, 0, 1, AF_NETLINK),
        (RETURN, 0, 0, ERROR | EAFNOSUPPORT),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps), len(steps)


def main():
    machine = platform.machine()
    if machine not in SOCKET:
        sys.exit(f"without-netlink.py does not know the system calls of {machine}")
    code, count = filter_code(SOCKET[machine])
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", count, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        sys.exit(f"no filter of system calls: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
