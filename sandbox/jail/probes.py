"""What this host gives, layer by layer: works, or why not and what to do.

Every probe asks the kernel itself, in a process that is thrown away where the answer has effects. Settings
are read only to explain a refusal, never to predict one.
"""

from __future__ import annotations

import errno
import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from onvp.sandbox.jail import _confine, filter, namespaces

Status = Literal["works", "missing", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `advice` is what to do about it, or ""."""

    name: str
    status: Status
    detail: str
    advice: str = ""


# Settings that forbid user namespaces: where, the forbidding value, what to do.
_SETTINGS: Final = (
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "set the sysctl user.max_user_namespaces above 0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "set the sysctl kernel.unprivileged_userns_clone to 1, or start the agent by root",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "install an AppArmor profile with 'userns,' for the interpreter, or start the agent by root",
    ),
)
_FLAGS: Final[Mapping[str, int]] = {
    "user": namespaces.NEWUSER,
    "pid": namespaces.NEWPID,
    "mount": namespaces.NEWNS,
    "net": namespaces.NEWNET,
    "ipc": namespaces.NEWIPC,
    "uts": namespaces.NEWUTS,
}
# linux/seccomp.h, with what each is for
_ACTIONS: Final = {
    "kill process": filter.KILL,
    "errno": filter.REFUSE & 0xFFFF_0000,
    "allow": filter.ALLOW,
}


def host() -> list[Finding]:
    """The machine, what surrounds us, and who we are."""
    uname = os.uname()
    held = _confine.capabilities()[0]
    return [
        Finding("kernel", "note", f"Linux {uname.release} on {uname.machine}"),
        Finding("surroundings", "note", container() or "no container recognized"),
        Finding("started by", "note", f"uid {os.geteuid()}, {held.bit_count()} capabilities in effect"),
        Finding("python", "note", f"{platform.python_implementation()} {platform.python_version()}"),
    ]


def container() -> str:
    """Which container this is, by the marks that they leave; "" for none."""
    if Path("/.dockerenv").exists():
        return "Docker"
    if Path("/run/.containerenv").exists():
        return "Podman"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "Kubernetes"
    try:
        return Path("/run/systemd/container").read_text().strip()
    except OSError:
        return ""


def seccomp() -> list[Finding]:
    """The answers that the kernel knows, filters that lie over us already, and the size of our list."""
    findings = []
    try:
        unknown = [n for n, a in _ACTIONS.items() if not _confine.seccomp_action_available(a)]
        here = filter.here()
    except NotImplementedError as error:
        return [Finding("seccomp", "missing", explain(error), "scripts run on 64-bit x86 and ARM only")]
    except OSError as error:
        return [Finding("seccomp", "missing", explain(error), "needs a kernel with CONFIG_SECCOMP_FILTER")]
    if unknown:
        problem = f"unknown answers: {', '.join(unknown)}"
        findings.append(Finding("seccomp", "missing", problem, "needs Linux 4.14 or newer"))
    count = len(filter.allowed_on(here))
    findings.append(Finding("seccomp", "works", f"{count} allowed calls, the rest is refused"))
    status = own_status()
    if status.get("Seccomp_filters", "0") != "0":
        found = f"{status['Seccomp_filters']} filters lie over the agent already"
        findings.append(Finding("seccomp outside", "note", found))
    return findings


def landlock() -> Finding:
    """The ABI, or which of the three reasons there is for none."""
    try:
        abi = _confine.landlock_abi()
    except OSError as error:
        advice = {
            errno.ENOSYS: "not built into this kernel or hidden by a container's profile; "
            "Debian's kernels have it, Raspberry Pi's have not",
            errno.EOPNOTSUPP: "built in but not switched on: add landlock to lsm= on the command line",
            errno.EPERM: "forbidden by a container's profile: allow the three landlock_ calls in it",
        }.get(error.errno or 0, "")
        return Finding("landlock", "missing", explain(error), advice)
    known = ["files"] + ["TCP"] * (abi >= 4) + ["abstract sockets", "signals"] * (abi >= 6)
    advice = "" if abi >= 4 else "level full needs ABI 4, that is Linux 6.7"
    return Finding("landlock", "works" if abi >= 4 else "missing", f"ABI {abi}: {', '.join(known)}", advice)


def each_namespace() -> list[Finding]:
    """Each kind alone, as the user that we are: root makes it directly, others inside a user namespace."""
    extra = 0 if os.geteuid() == 0 else namespaces.NEWUSER
    findings = []
    for name, flag in _FLAGS.items():
        code = _in_child(flag | extra)
        if code == 0:
            findings.append(Finding(f"{name} namespace", "works", "can be made"))
        else:
            findings.append(Finding(f"{name} namespace", "missing", os.strerror(code), namespace_advice(code)))
    return findings


def namespace_advice(code: int) -> str:
    """What forbids namespaces here, by name, and what to do."""
    for path, forbidding, advice in _SETTINGS:
        try:
            value = Path(path).read_text().strip()
        except OSError:
            continue
        if value == forbidding:
            return f"{path} is {value}: {advice}"
    if code == errno.ENOSPC:
        return "the number of namespaces is limited: raise the sysctls under user.max_*_namespaces"
    if code in {errno.ENOSYS, errno.EINVAL}:
        return "not built into this kernel"
    if container():
        return f"the profile of {container()} forbids it; level standard is what containers give"
    return "forbidden by a seccomp profile or a unit's RestrictNamespaces="


def limits() -> list[Finding]:
    """What bounds us from outside: processes, memory, cgroups, swap."""
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    bound = "no limit" if processes == resource.RLIM_INFINITY else f"{processes}"
    findings = [Finding("process limit", "note", bound)]
    try:
        memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, swap = memory["MemTotal"].split()[0], memory["SwapTotal"].split()[0]
        findings.append(Finding("memory", "note", f"{int(total) // 1024} MiB, swap {int(swap) // 1024} MiB"))
    except (OSError, KeyError, ValueError):
        findings.append(Finding("memory", "note", "unknown: /proc/meminfo cannot be read"))
    version = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    own = Path("/proc/self/cgroup")
    group = own.read_text().splitlines()[-1].split(":", 2)[2] if own.exists() else "/"
    bounds = []
    for name in ("memory.max", "pids.max") if version == 2 else ():
        file = Path("/sys/fs/cgroup") / group.lstrip("/") / name
        if file.exists():
            bounds.append(f"{name} {file.read_text().strip()}")
    findings.append(Finding("cgroup", "note", f"version {version}; {', '.join(bounds) or 'no bounds seen'}"))
    return findings


def explain(error: Exception) -> str:
    """An error without its number."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def own_status() -> dict[str, str]:
    """/proc/self/status as a mapping; empty when there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _in_child(flags: int) -> int:
    """The errno of unshare(flags) in a process that is thrown away, 0 when it worked."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            _confine.unshare(flags)
            code = 0
        except OSError as error:
            code = (error.errno or 255) & 0xFF
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
