"""On hosts that give less, the level is what was really reached, and the reason names what is missing."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from onvp.sandbox.jail.errors import LevelTooLow, ZygoteGone
from onvp.sandbox.jail.levels import Level, LevelReport
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import JailClient
from tests.jail import hosts
from tests.jail.cell import live_with

ALIVE = "say('alive')"


def identity(report: LevelReport) -> str:
    """As whom a worker was found to run."""
    (detail,) = (layer.detail for layer in report.layers if layer.name == "identity" and layer.works)
    return detail


async def on_host(host: str, least: Level, source: str) -> tuple[LevelReport, str, str]:
    """Start a zygote on that host, run one worker: the report, what it wrote, why it ended."""
    control, process = hosts.start(host)
    client = JailClient(control)
    try:
        report = await client.start(Configure(run="tests.jail.native_entry:run", least=least))
        life = await live_with(client, source)
        return report, life.text, str(life.end.cause)
    finally:
        client.close()
        await asyncio.to_thread(process.wait)


def test_unprivileged_user_reaches_full() -> None:
    """Without root, a user namespace gives the same walls; workers run as that user."""
    report, text, _ = asyncio.run(on_host("unprivileged", Level.FULL, ALIVE))

    assert report.level is Level.FULL
    assert text == "alive\n"
    assert f"uid {hosts.UNPRIVILEGED}, gid {hosts.UNPRIVILEGED}, no cap" in identity(report)


@pytest.mark.parametrize(
    ("host", "user", "missing"),
    [
        (
            "unprivileged without user namespaces",
            hosts.UNPRIVILEGED,
            "uts namespace: unshare(0x30000000): Operation not permitted",
        ),
        ("container", 65533, "uts namespace: unshare(0x20000000): Operation not permitted"),
        ("namespaces without mounts", 65533, "empty root: mount"),
        ("kernel without landlock", 65533, "Function not implemented"),
        ("landlock switched off", 65533, "Operation not supported"),
    ],
)
def test_missing_layer_means_standard(host: str, user: int, missing: str) -> None:
    """A missing second mechanism means standard; workers run, never as root, and the filter holds."""
    report, text, _ = asyncio.run(on_host(host, Level.STANDARD, ALIVE))
    _, _, cause = asyncio.run(on_host(host, Level.STANDARD, "os.getppid()"))

    assert report.level is Level.STANDARD
    assert missing in report.why_not_higher
    assert text == "alive\n"
    assert f"uid {user}, gid {user}, no capabilities" in identity(report)
    assert cause == "violation"


def test_missing_layer_is_refused_where_full_is_required() -> None:
    """A zygote that reached standard does not serve an agent that requires full."""
    with pytest.raises(LevelTooLow, match="'standard' but 'full' is required"):
        asyncio.run(on_host("container", Level.FULL, ALIVE))


def test_no_filter_means_refused() -> None:
    """Where the kernel takes no filter nothing runs, whatever else there is."""
    with pytest.raises(LevelTooLow, match="'refused' but 'standard' is required: seccomp"):
        asyncio.run(on_host("container of old without seccomp", Level.STANDARD, ALIVE))


def test_worker_that_would_be_root_does_not_run() -> None:
    """When the user cannot be changed, the zygote ends rather than run a worker as uid 0."""
    with pytest.raises(ZygoteGone, match="user: "), contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(on_host("root without capabilities", Level.REFUSED, ALIVE))


def test_no_user_may_be_named_root() -> None:
    """A configuration that names uid 0 or gid 0 for the workers is refused."""
    for wrong in ({"uid": 0}, {"gid": 0}):
        with pytest.raises(ValueError, match="never root"):
            Configure(run="a:b", **wrong)  # type: ignore[arg-type]
