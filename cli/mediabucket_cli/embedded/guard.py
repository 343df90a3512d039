"""Becomes another program that dies with the process that started it: guard.py PARENT SIGNAL USER COMMAND...

PARENT is the process id of the starter, SIGNAL what the kernel shall send when it dies, USER the id of the user to
become first, or `-`. A script of its own, since code between fork and exec is not safe in a process with threads.
Linux only: elsewhere the program runs untied, and USER must be `-`.
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
# <linux/securebits.h>
SECBIT_NO_SETUID_FIXUP = 1 << 2
# <linux/capability.h>
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prctl(option: int, *arguments: int) -> None:
    checked(libc.prctl(option, *(ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4])))


def capability_to_pass() -> int | None:
    """What lets an ordinary user reach programs and data below a private directory such as /root."""
    status = Path("/proc/self/status").read_text()
    effective = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    # Containers are seldom given the narrower one.
    return next((bit for bit in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if effective >> bit & 1), None)


def become(user: int) -> None:
    """Take on user and group `user`, keeping no right of root but that to search directories."""
    capability = capability_to_pass()
    if capability is not None:
        # Else access() answers as if the capability were not there, and initdb asks by it for the programs beside it:
        # https://man7.org/linux/man-pages/man2/access.2.html
        with suppress(OSError):
            prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if capability is not None:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        # Effective, permitted, inheritable: the low words, then the high ones.
        sets = (ctypes.c_uint32 * 6)(*[1 << capability] * 3, 0, 0, 0)
        checked(libc.capset(header, sets))
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def main(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    try:
        if user != "-":
            become(int(user))
    except OSError as error:
        sys.exit(f"cannot become user {user}: {error.strerror}; run this as an ordinary user instead of root")
    if sys.platform == "linux":
        # After the change of user, which clears it.
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            sys.exit("the starter is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
