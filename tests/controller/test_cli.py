"""`onvp` as a person and a program meet it: real processes against a real controller."""

import asyncio
import contextlib
import io
import json
import os
import pty
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from onvp.controller import checker, cli, settings
from onvp.controller.store import Store
from onvp.native.files import ScamperFile
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.invite import Invitation, parse_invitation
from tests.controller.world import Script, Vp, World, controller, finishing

ONVP = (sys.executable, "-m", "onvp.controller.cli")


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def inside(*args: str) -> Done:
    """Call the command's entry point."""
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(list(args))
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int)
    return Done(status, out.getvalue(), err.getvalue())


class Desk:
    """A researcher's machine: a home of its own, a script, and the command."""

    def __init__(self, home: Path, world: World) -> None:
        self.home, self.world = home, world
        self.env = os.environ | {"XDG_CONFIG_HOME": str(home / "config"), "HOME": str(home), "TERM": "xterm"}
        for name in ("ONVP_URL", "ONVP_TOKEN", "ONVP_FINGERPRINT"):
            self.env.pop(name, None)
        self._one_at_a_time = asyncio.Lock()
        self.script = home / "script.py"
        self.script.write_text("print('hi')\n")

    async def start(self, *args: str, **options: object) -> asyncio.subprocess.Process:
        """A command that is running."""
        pipes = {"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.PIPE}
        return await asyncio.create_subprocess_exec(
            *ONVP,
            *args,
            **(pipes | {"stderr": asyncio.subprocess.PIPE} | options),  # type: ignore[arg-type]
            env=self.env,
            cwd=self.home,
        )

    async def onvp(self, *args: str) -> Done:
        """A command and its end; in this process, for an interpreter's start takes longer than the rest."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._inside, args)

    def _inside(self, args: tuple[str, ...]) -> Done:
        with mock.patch.dict(os.environ, self.env, clear=True), contextlib.chdir(self.home):
            return inside(*args)


Test = Callable[[Desk], Awaitable[None]]


def at_desk(path: Path, test: Test, *, tls: bool = False) -> None:
    """Run a test as a researcher who is logged in."""

    async def go() -> None:
        async with controller(path, tls=tls) as world:
            home = path / "home"
            home.mkdir()
            desk = Desk(home, world)
            async with world.user() as user:
                secret = user.headers["authorization"].split()[1]
            line = str(Invitation(secret, world.config.fingerprint(world.data), world.url))
            done = await desk.onvp("login", line)
            assert done.status == 0, done.err
            await test(desk)

    asyncio.run(go())


@contextlib.asynccontextmanager
async def fleet(world: World, **scripts: Script | None) -> AsyncIterator[None]:
    """Several VPs."""
    async with contextlib.AsyncExitStack() as stack:
        for name, script in scripts.items():
            await stack.enter_async_context(world.vp(name, script))
        yield


def going_on(vp: Vp, offer: link.Offer) -> None:
    """A run that says something and does not end."""
    vp.spool.append(offer.run, link.Output("on\n"))


def ending(end: link.End, *before: link.Body) -> Script:
    """A run that ends so."""
    return lambda vp, offer: [vp.spool.append(offer.run, body) for body in (*before, end)] and None  # type: ignore[func-returns-value]


ENDS = [
    pytest.param(link.End(outcome="finished", status=0), 0, "finished", id="finished"),
    pytest.param(link.End(outcome="failed", status=1, error="Boom: x"), 1, "Boom: x", id="failed"),
    pytest.param(
        link.End(outcome="refused", problems=[calls.Problem(3, 4, "no exec: use a function")]),
        3,
        "script.py:3:4: no exec: use a function",
        id="language",
    ),
    pytest.param(link.End(outcome="refused", reason="outside hours"), 3, "outside hours", id="policy"),
    pytest.param(link.End(outcome="timed-out", reason="10 s of wall time"), 4, "10 s of wall time", id="wall"),
    pytest.param(link.End(outcome="killed", limit="memory"), 4, "limit: memory", id="limit"),
    pytest.param(link.End(outcome="lost", reason="gone"), 5, "gone", id="lost"),
    pytest.param(link.End(outcome="cancelled"), 6, "cancelled", id="cancelled"),
]


def test_exit_statuses(tmp_path: Path) -> None:
    """Each outcome has its exit status, and its reason is on stderr."""

    async def test(desk: Desk) -> None:
        ends = {f"vp{number}": case.values for number, case in enumerate(ENDS)}
        async with fleet(desk.world, **{vp: ending(end) for vp, (end, _, _) in ends.items()}):
            for vp, (_, status, words) in ends.items():
                done = await desk.onvp("run", "script.py", "--vp", vp, "--no-check")
                assert status == done.status, done.err
                assert words in done.err
            done = await desk.onvp("run", "script.py", "--on", "name=vp1,vp4", "--no-check")
            assert done.status == 4, "over several VPs the largest counts"

    at_desk(tmp_path, test)


def test_output_of_one_vp_is_the_scripts(tmp_path: Path) -> None:
    """With one VP stdout is what the script printed, and results; everything else is on stderr."""

    async def test(desk: Desk) -> None:
        body = (
            link.Output("one\ntw"),
            link.Output("o\n"),
            link.Output("\x1b[31mraw\n"),
            link.Output("oops\n", err=True),
            link.Result(b'{"rtt": 1.5}'),
            link.Refusal("ping", "10.0.0.1", "policy", "private nets are closed", "no-lan", "campus.yaml:14"),
            link.Clamped("ping", "192.0.2.1", [calls.Clamp("attempts", 50, 10, "few", "campus.yaml:9")]),
            link.Note("prober restarted"),
            link.Output("no newline"),
        )
        async with fleet(desk.world, vp1=finishing(*body)):
            done = await desk.onvp("run", "script.py", "--no-check")
            assert done.status == 0
            assert done.out == 'one\ntwo\n\x1b[31mraw\n=> {"rtt": 1.5}\nno newline\n'
            for words in (
                "oops\n",
                "vp1: refused: ping 10.0.0.1: private nets are closed (rule no-lan, campus.yaml:14)\n",
                "vp1: narrowed: ping 192.0.2.1: attempts 50 → 10 (rule few, campus.yaml:9)\n",
                "vp1: note: prober restarted\n",
                "vp1: running\n",
            ):
                assert words in done.err
            assert done.err.splitlines()[-1].split() == ["vp1", "finished", "0", "1", "1", "1"]

    at_desk(tmp_path, test)


def test_several_vps_are_told_apart(tmp_path: Path) -> None:
    """With several VPs each line says whose it is, and lines are never mixed within."""

    async def test(desk: Desk) -> None:
        chatter = finishing(*[link.Output(part) for part in ("he", "llo\n") * 50])
        async with fleet(desk.world, vp1=chatter, vp2=chatter):
            done = await desk.onvp("run", "script.py", "--on", "all", "--no-check")
            assert sorted(done.out.splitlines()) == ["vp1 | hello"] * 50 + ["vp2 | hello"] * 50

    at_desk(tmp_path, test)


def test_arguments_and_inputs_arrive_verbatim(tmp_path: Path) -> None:
    """Arguments with newlines, blanks and dashes, and input files, reach the script as they are."""

    async def test(desk: Desk) -> None:
        (desk.home / "t.bin").write_bytes(bytes(range(256)))
        async with desk.world.vp("vp1", finishing()) as vp:
            args = ["a\nb", "", "--on", "-x", "ŋ"]
            limits = ("--limit", "wall_s=2min", "--limit", "memory_bytes=1MiB")
            done = await desk.onvp("run", "script.py", "--input", "t.bin", *limits, "--no-check", "--", *args)
            assert done.status == 0, done.err
            (offer,) = vp.offers
            assert offer.args == args
            assert offer.inputs == {"t.bin": bytes(range(256))}
            assert offer.limits == {"wall_s": 120.0, "memory_bytes": 1048576.0}

    at_desk(tmp_path, test)


def test_json_and_detach(tmp_path: Path) -> None:
    """--json prints the events as the API tells them; --detach leaves, and follow shows the run later."""

    async def test(desk: Desk) -> None:
        async with fleet(desk.world, vp1=finishing(link.Output("x\u2028y\n"))):
            detached = await desk.onvp("run", "script.py", "--detach", "--no-check")
            run = detached.out.strip()
            done = await desk.onvp("follow", run, "--json")
            told = [json.loads(line) for line in done.out.split("\n") if line]
            assert [line["type"] for line in told] == ["run", "state", "state", "output", "end", "run"]
            assert told[3]["data"]["text"] == "x\u2028y\n"
            assert done.err == ""
            assert (await desk.onvp("follow", run)).out == "x\u2028y\n"
            assert json.loads((await desk.onvp("runs", "--json")).out)[0]["run"] == run
            assert run in (await desk.onvp("runs")).out
            shown = await desk.onvp("show", run)
            assert "finished" in shown.out
            assert "output.txt (6 B)" in shown.out

    at_desk(tmp_path, test)


def test_interrupt_without_a_terminal_leaves_the_run(tmp_path: Path) -> None:
    """Ctrl-C with nobody to ask leaves the run running and says how to come back to it."""

    async def test(desk: Desk) -> None:
        async with desk.world.vp("vp1", going_on) as vp:
            process = await desk.start("run", "script.py", "--no-check")
            assert process.stdout is not None
            assert await process.stdout.readline() == b"on\n"
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            run = vp.offers[0].run
            assert process.returncode == 130
            assert f"onvp follow {run}" in err.decode()
            assert vp.cancels == []
            assert (await desk.onvp("cancel", run)).status == 0
            await vp.wait(lambda: vp.cancels == [(run, "alice")])

    at_desk(tmp_path, test)


class Terminal:
    """A terminal with a command on it."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.shown = b""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self.process: asyncio.subprocess.Process

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, desk: Desk, *args: str) -> AsyncIterator["Terminal"]:
        """A command on a terminal of its own; killed at the end if it still runs."""
        terminal = cls()
        slave = terminal._slave
        terminal.process = await desk.start(*args, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        try:
            yield terminal
        finally:
            if terminal.process.returncode is None:
                terminal.process.kill()
            await terminal.process.wait()
            asyncio.get_running_loop().remove_reader(terminal._master)
            os.close(terminal._master)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._master, 65536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._master)
        self._news.set()

    async def shows(self, words: bytes) -> None:
        """Until these words have been on the screen."""
        async with asyncio.timeout(20):
            while words not in self.shown:
                self._news.clear()
                await self._news.wait()

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._master, text)

    async def interrupt(self, until: Awaitable[object]) -> None:
        """Press Ctrl-C; once more if nothing happens, for it may come just before a system call."""
        waiting = asyncio.ensure_future(until)
        for _ in range(4):
            self.process.send_signal(signal.SIGINT)
            done, _ = await asyncio.wait((waiting,), timeout=5)
            if done:
                break
        await waiting


@pytest.mark.parametrize(
    ("answer", "status", "cancelled"),
    [
        pytest.param(b"c\n", 6, True, id="cancel"),
        pytest.param(b"l\n", 130, False, id="leave"),
        pytest.param(b"\n", 130, False, id="just enter leaves"),
        pytest.param(None, 130, False, id="second interrupt leaves"),
    ],
)
def test_interrupt_on_a_terminal_asks(tmp_path: Path, answer: bytes | None, status: int, cancelled: bool) -> None:
    """Ctrl-C on a terminal asks whether to cancel the run or to leave it."""

    async def test(desk: Desk) -> None:
        async with (
            desk.world.vp("vp1", going_on) as vp,
            Terminal.running(desk, "run", "script.py", "--no-check") as terminal,
        ):
            await terminal.shows(b"on\r\n")
            await terminal.interrupt(terminal.shows(b"eave it running"))
            if answer is None:
                await terminal.interrupt(terminal.process.wait())
            else:
                terminal.type(answer)
            if cancelled:
                await vp.wait(lambda: bool(vp.cancels))
                vp.spool.append(vp.offers[0].run, link.End(outcome="cancelled"))
            assert status == await terminal.process.wait()
            assert cancelled is bool(vp.cancels)

    at_desk(tmp_path, test)


def test_a_terminal_is_not_steered(tmp_path: Path) -> None:
    """Control sequences in what a script prints are shown, not obeyed, on a terminal."""

    async def test(desk: Desk) -> None:
        async with (
            fleet(desk.world, vp1=finishing(link.Output("\x1b]0;owned\x07\x9b31m\n"))),
            Terminal.running(desk, "run", "script.py", "--no-check") as terminal,
        ):
            assert await terminal.process.wait() == 0
            await terminal.shows(b"outcome")
            assert b"\\x1b]0;owned\\x07\\x9b31m" in terminal.shown
            assert b"\x1b]0;" not in terminal.shown

    at_desk(tmp_path, test)


def test_fetch(tmp_path: Path) -> None:
    """Everything that a run left lands in one folder per VP, and no name leads out of it."""

    async def test(desk: Desk) -> None:
        names = ("ok.csv", "../../evil", "/etc/passwd", ".", "..", ".hidden", "a/b", "CON\n", "x" * 300, "ŋ")
        left = [link.Artifact(name, name.encode(), last=True) for name in names]
        body = (link.Output("hi\n"), link.Result(b"1"), link.Measurement(0, b"\x12\x05"), *left)
        async with fleet(desk.world, vp1=finishing(*body)):
            run = (await desk.onvp("run", "script.py", "--detach", "--no-check")).out.strip()
            await desk.onvp("follow", run)
            before = {path for path in tmp_path.rglob("*") if "home/out" not in str(path)}
            done = await desk.onvp("fetch", run, "--out", "out")
            assert done.status == 0, done.err
            assert before == {path for path in tmp_path.rglob("*") if "home/out" not in str(path)}
            folder = desk.home / "out" / "vp1"
            found = {path.name for path in folder.iterdir()}
            assert found == {"artifacts", "measurements.warts", "output.txt", "results.jsonl", "run.json"}
            assert (folder / "output.txt").read_text() == "hi\n"
            assert (folder / "measurements.warts").read_bytes() == b"\x12\x05"
            assert json.loads((folder / "run.json").read_text())["outcome"] == "finished"
            artifacts = {path.read_bytes().decode() for path in (folder / "artifacts").iterdir()}
            assert artifacts == set(names)
            assert (folder / "artifacts" / "ok.csv").exists()
            assert all(path.is_file() for path in (folder / "artifacts").iterdir())

    at_desk(tmp_path, test)


def count_pings(path: Path) -> int:
    """Recordings hold lists and cycles, too."""
    return sum(type(record).__name__ == "ScamperPing" for record in ScamperFile(str(path)))


def test_fetch_joins_the_streams_of_several_connections(tmp_path: Path) -> None:
    """What several prober connections wrote becomes one recording; streams that are no warts stay apart."""
    corpus = Path(__file__).parents[1] / "golden" / "corpus" / "new"
    pings = (corpus / "ping-loss.warts").read_bytes()
    more = (corpus / "ping-ttl-mpls.warts").read_bytes()
    kept = finishing(link.Measurement(0, pings), link.Measurement(10, more), link.Measurement(2, more))
    broken = finishing(link.Measurement(0, pings), link.Measurement(1, b"no warts"))

    async def test(desk: Desk) -> None:
        async with fleet(desk.world, vp1=kept, vp2=broken):
            run = (await desk.onvp("run", "script.py", "--on", "all", "--detach", "--no-check")).out.strip()
            await desk.onvp("follow", run)
            assert (await desk.onvp("fetch", run, "--out", "out")).status == 0
            joined = desk.home / "out" / "vp1" / "measurements.warts"
            few, many = (count_pings(corpus / name) for name in ("ping-loss.warts", "ping-ttl-mpls.warts"))
            assert count_pings(joined) == few + 2 * many > 0
            apart = sorted((desk.home / "out" / "vp2").glob("measurements*"))
            assert [path.read_bytes() for path in apart] == [pings, b"no warts"]

    at_desk(tmp_path, test)


def test_vps(tmp_path: Path) -> None:
    """The list of VPs says who is connected, and which prober serves which primitive."""

    async def test(desk: Desk) -> None:
        await desk.world.identity("away")
        async with fleet(desk.world, vp1=None):
            done = await desk.onvp("vps")
            away, vp1 = done.out.splitlines()[1:]
            assert away.split()[:3] == ["away", "away", "since"]
            assert vp1.split()[:2] == ["vp1", "connected"]
            assert "scamper 20211212" in vp1
            assert "scamper: ping" in vp1
            assert json.loads((await desk.onvp("vps", "--json")).out)[1]["connected"] is True

    at_desk(tmp_path, test)


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        pytest.param(("run", "nosuch.py"), 2, "does not exist", id="no script"),
        pytest.param(("run", "script.py", "--on", "all", "--vp", "vp1"), 2, "not both", id="on and vp"),
        pytest.param(
            ("run", "script.py", "--no-check", "--vp", "vp9"),
            2,
            "no vantage point 'vp9'. Did you mean",
            id="unknown vp",
        ),
        pytest.param(
            ("run", "script.py", "--no-check", "--on", "cc=xx"),
            2,
            "no connected vantage point fits",
            id="no fit",
        ),
        pytest.param(("run", "script.py", "--no-check"), 2, "which VP?", id="several VPs and no choice"),
        pytest.param(("run", "script.py", "--limit", "wall"), 2, "NAME=VALUE", id="broken limit"),
        pytest.param(("run", "latin.py", "--on", "all"), 2, "latin.py:2: the script is not UTF-8", id="not UTF-8"),
        pytest.param(("run", "big.py", "--on", "all"), 2, "10000000 bytes", id="10 MB"),
        pytest.param(("follow", "nosuch"), 2, "no run 'nosuch'", id="unknown run"),
        pytest.param(("fetch", "../x"), 2, "no run", id="a path for a run"),
        pytest.param(("cancel", "nosuch"), 2, "no run", id="cancel unknown run"),
        pytest.param(("login", "rubbish"), 2, "not an onvp token", id="login with rubbish"),
        pytest.param(("login", "onvp1.enr_12345678.-@http://127.0.0.1:1"), 2, "vantage point", id="wrong line"),
        pytest.param(("login", "onvp1.usr_12345678.-@http://192.0.2.1"), 2, "in the clear", id="no TLS"),
        pytest.param(("login", "onvp1.usr_12345678.-@http://127.0.0.1:1"), 7, "cannot reach", id="nobody there"),
        pytest.param(("check", "nosuch.py"), 2, "does not exist", id="check of nothing"),
        pytest.param(("nonsense",), 2, "No such command", id="no such command"),
    ],
)
def test_usage(desk_of_two: Desk, args: tuple[str, ...], status: int, words: str) -> None:
    """What cannot be done is said in a sentence, with the exit status for it."""
    done = asyncio.run_coroutine_threadsafe(desk_of_two.onvp(*args), desk_of_two.loop).result(60)  # type: ignore[attr-defined]

    assert status == done.status, done.err
    assert words in done.err


@pytest.fixture(scope="module")
def desk_of_two(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A desk with two VPs, for tests that change nothing."""
    import threading

    path = tmp_path_factory.mktemp("desk")
    ready = threading.Event()
    held: list[Desk] = []
    stop: list[Callable[[], None]] = []

    async def test(desk: Desk) -> None:
        (desk.home / "latin.py").write_bytes(b"# ok\n# caf\xe9\n")
        (desk.home / "big.py").write_bytes(b"#" * 10_000_000)
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        desk.loop = loop  # type: ignore[attr-defined]
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with fleet(desk.world, vp1=None, vp2=None):
            held.append(desk)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=at_desk, args=(path, test))
    thread.start()
    assert ready.wait(30)
    yield held[0]
    stop[0]()
    thread.join()


def test_login_is_private_and_checked(tmp_path: Path) -> None:
    """The login is for its owner only; one that others can read is refused; the environment is first."""

    async def test(desk: Desk) -> None:
        path = desk.home / "config" / "onvp" / "config.toml"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        done = await desk.onvp("runs")
        assert (done.status, "chmod 600" in done.err) == (2, True)
        path.chmod(0o600)
        desk.env["ONVP_TOKEN"] = "usr_wrong"
        done = await desk.onvp("runs")
        assert (done.status, "does not know this token" in done.err) == (2, True)
        async with desk.world.user("bob") as bob:
            desk.env["ONVP_TOKEN"] = bob.headers["authorization"].split()[1]
        desk.env["ONVP_URL"] = desk.world.url
        path.unlink()
        assert (await desk.onvp("runs")).status == 0
        del desk.env["ONVP_TOKEN"]
        done = await desk.onvp("runs")
        assert (done.status, "Run `onvp login`" in done.err) == (2, True)

    at_desk(tmp_path, test)


def test_tls_with_the_pinned_certificate(tmp_path: Path) -> None:
    """With TLS a login works against the pinned certificate and no other."""

    async def test(desk: Desk) -> None:
        assert desk.world.url.startswith("https://")
        assert (await desk.onvp("runs")).status == 0
        desk.env["ONVP_URL"], desk.env["ONVP_FINGERPRINT"] = desk.world.url, "0" * 64
        desk.env["ONVP_TOKEN"] = "usr_12345678"
        done = await desk.onvp("runs")
        assert (done.status, "your login pins 0000" in done.err) == (7, True)
        del desk.env["ONVP_FINGERPRINT"]
        done = await desk.onvp("runs")
        assert (done.status, "certificate verify failed" in done.err) == (7, True)

    at_desk(tmp_path, test, tls=True)


CHECKED = [
    pytest.param(b"x = (\n", 3, "script.py:1:5: ", id="syntax error"),
    pytest.param(b"a = 1\nexec('x')\nasync def f(): pass\n", 3, "script.py:3:", id="every problem, not the first"),
    pytest.param(b"# ok\n# caf\xe9\n", 3, "script.py:2:", id="not UTF-8"),
    pytest.param(b"#" * 10_000_000, 3, "script.py: the script has 10000000 bytes", id="10 MB"),
    pytest.param(b"[" * 100_000, 3, "script.py:1:", id="nested without end"),
    pytest.param(b"x = '\x00'\n", 3, "script.py", id="NUL"),
    pytest.param(
        b"from scamper import ScamperCtrl\nScamperCtrl().do_ping('192.0.2.1')\n", 0, "do_ping", id="a good script"
    ),
]


@pytest.mark.parametrize(("source", "status", "words"), CHECKED)
def test_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: bytes, status: int, words: str) -> None:
    """`onvp check` needs no controller: it finds all language problems with lines, or the primitives in use."""
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_bytes(source)
    done = inside("check", "script.py")

    assert status == done.status
    assert words in done.out
    as_json = json.loads(inside("check", "script.py", "--json").out)
    assert bool(as_json["problems"]) is (status == 3)


def test_a_compiler_that_is_killed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a source makes the compiling child die, that is a sentence and not a crash."""
    monkeypatch.setattr(checker, "CHILD", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))

    with pytest.raises(checker.CheckError, match="stopped by signal 9"):
        checker.check(b"x = 1\n", "script.py")


def test_language_problems_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    """`onvp run` shows the problems and starts nothing; with --no-check the vantage point judges."""

    async def test(desk: Desk) -> None:
        desk.script.write_text("import onvp\nexec('x')\n")
        async with desk.world.vp("vp1", finishing()) as vp:
            done = await desk.onvp("run", "script.py")
            assert (done.status, vp.offers) == (3, [])
            assert "script.py:2:" in done.out
            assert (await desk.onvp("run", "script.py", "--no-check")).status == 0
            assert [offer.source for offer in vp.offers] == [b"import onvp\nexec('x')\n"]

    at_desk(tmp_path, test)


def test_policy_check(tmp_path: Path) -> None:
    """Every problem of a policy is listed with file and line, and the examples have none."""
    broken = tmp_path / "p.yaml"
    broken.write_text("onvp-policy: 1\nlayer: host\nnonsense: 1\nlayer: host\n")
    done = inside("policy", "check", str(broken))

    assert done.status == 3
    assert f"{broken}:3:" in done.out
    assert f"{broken}:4:" in done.out
    for example in (Path(__file__).parents[2] / "policies" / "examples").glob("*.yaml"):
        done = inside("policy", "check", str(example))
        assert (done.status, done.out) == (0, f"{example}: fine\n")


def test_operators_commands(tmp_path: Path) -> None:
    """A controller is made, given users and VPs, and its lines hold what users and VPs need."""
    onvp = inside
    data = ("--data", str(tmp_path / "data"))
    url = ("--url", "https://onvp.example.net:8440")
    assert "add --url" in onvp("controller", "init", *data, "--listen", "0.0.0.0").err
    assert onvp("controller", "init", *data, "--listen", "0.0.0.0", *url).status == 0
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / settings.KEY).stat().st_mode) == 0o600
    assert "in use" in onvp("controller", "init", *data).err

    line = parse_invitation(onvp("controller", "user", "add", "alice", *data).out)
    assert line.url == "https://onvp.example.net:8440"
    assert line.fingerprint == settings.fingerprint_of(tmp_path / "data" / settings.CERTIFICATE)
    assert line.secret.startswith("usr_")
    assert "already" in onvp("controller", "user", "add", "alice", *data).err
    assert "cannot be a name" in onvp("controller", "user", "add", "Al ice", *data).err
    assert onvp("controller", "user", "token", "alice", "--revoke", *data).status == 0
    assert "no user 'bob'" in onvp("controller", "user", "token", "bob", *data).err
    assert onvp("controller", "users", *data).out.splitlines()[1].split()[:2] == ["alice", "researcher"]
    assert parse_invitation(onvp("controller", "enrol", *data).out).secret.startswith("enr_")
    assert "cannot be a name" in onvp("controller", "enrol", "--name", "../x", *data).err
    assert "no vantage point 'vp1'" in onvp("controller", "vp", "remove", "vp1", *data).err
    assert onvp("controller", "user", "remove", "alice", *data).status == 0
    assert onvp("controller", "vps", *data).status == 0
    assert "Run `onvp controller init" in onvp("controller", "users", "--data", str(tmp_path / "no")).err
    store = Store(tmp_path / "data" / settings.DATABASE)
    assert store.users() == []
    store.close()
