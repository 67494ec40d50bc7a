"""Giving up what a process does not need, for good."""

import ctypes
import os
import pwd
from typing import Final

from onvp.sandbox.companion.errors import CannotServe

_PR_SET_NO_NEW_PRIVS: Final = 38  # prctl(2)


def confine(user: str | None) -> None:
    """Become `user` (unless None) and never gain a privilege again.

    Raises:
        CannotServe: it did not work; the process must not go on.
    """
    if user is not None:
        try:
            entry = pwd.getpwnam(user)
            if entry.pw_uid == 0:
                raise CannotServe(f"--user {user} is root. Name a user without privileges.")
            os.setgroups([])
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        except (KeyError, OSError) as e:
            raise CannotServe(f"cannot become the user {user}: {e}. Name an existing user with --user.") from e
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CannotServe(f"cannot set no_new_privs: {os.strerror(ctypes.get_errno())}")
