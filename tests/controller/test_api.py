"""The researcher's HTTP API, against a real server with real links."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from onvp.sandbox.wire import link
from tests.controller.world import Vp, World, controller, finishing, request, until

Test = Callable[[World, httpx.AsyncClient], Awaitable[None]]


def with_world(path: Path, test: Test, **changes: object) -> None:
    """Run a test with a controller and a researcher."""

    async def go() -> None:
        async with controller(path, **changes) as world, world.user() as user:
            await test(world, user)

    asyncio.run(go())


async def events(user: httpx.AsyncClient, run: str, after: int = 0) -> list[dict[str, Any]]:
    """All events of a run, once it has ended."""
    answer = await user.get(f"/v1/runs/{run}/events?follow=1&after={after}")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.split("\n") if line]


def test_a_run_from_upload_to_files(tmp_path: Path) -> None:
    """A script goes to the VP byte for byte with its arguments, and everything it left comes back."""
    source = 'print("Kia ora, ŋ\u2028")\r\n'.encode()
    args = ["two\nlines", "", "-x", "ŋ\u2028", "a b"]

    async def test(world: World, user: httpx.AsyncClient) -> None:
        left = (
            link.Output("first\u2028\n"),
            link.Output("warning\n", err=True),
            link.Result(b'{"rtt":\n 1.5}'),
            link.Result(b"[123456789012345678901234567890]"),
            link.Result(b"not json \xff"),
            link.Measurement(0, b"\x12\x05a"),
            link.Measurement(1, b"\x12\x05b"),
            link.Measurement(0, b"\x12\x05c"),
            link.Artifact("a.csv", b"old"),
            link.Artifact("a.csv", b"new", truncate=True),
            link.Artifact("a.csv", b"er", last=True),
            link.Artifact("../up", b"harmless here"),
        )
        async with world.vp("vp1", finishing(*left)) as vp:
            asked = request(
                source,
                args=args,
                inputs={"t.txt": base64.b64encode(b"192.0.2.1\n").decode()},
                limits={"wall_s": 5},
            )
            answer = await user.post("/v1/runs", json=asked)
            assert answer.status_code == 201
            assert answer.json()["vps"] == ["vp1"]
            run = answer.json()["run"]
            told = await events(user, run)

            (offer,) = vp.offers
            assert (offer.source, offer.args, offer.inputs, offer.limits, offer.user, offer.role) == (
                source,
                args,
                {"t.txt": b"192.0.2.1\n"},
                {"wall_s": 5.0},
                "alice",
                "researcher",
            )
            assert [line["type"] for line in told] == [
                *("run", "state", "state", "output", "output", "result", "result", "result"),
                *(
                    "measurement",
                    "measurement",
                    "measurement",
                    "artifact",
                    "artifact",
                    "artifact",
                    "artifact",
                ),
                *("end", "run"),
            ]
            assert told[-1]["data"]["state"] == "done"
            assert told[5]["data"] == {"value": {"rtt": 1.5}}
            assert told[7]["data"] == {"text": "not json \ufffd"}
            assert told[8]["data"] == {"connection": 0, "bytes": 3}
            files = (await user.get(f"/v1/runs/{run}/vps/vp1/files")).json()["files"]
            content = {
                file["name"]: (await user.get(f"/v1/runs/{run}/vps/vp1/file", params={"name": file["name"]})).content
                for file in files
            }
            about = json.loads(content.pop("run.json"))
            assert content == {
                "output.txt": "first\u2028\nwarning\n".encode(),
                "results.jsonl": b'{"rtt":1.5}\n[123456789012345678901234567890]\n' + '"not json \ufffd"\n'.encode(),
                "measurements/0": b"\x12\x05a\x12\x05c",
                "measurements/1": b"\x12\x05b",
                "artifacts/a.csv": b"newer",
                "artifacts/../up": b"harmless here",
            }
            assert (about["outcome"], about["status"], about["args"], about["user"], about["vp"]["name"]) == (
                "finished",
                0,
                args,
                "alice",
                "vp1",
            )
            (view,) = (await user.get("/v1/runs")).json()["runs"]
            assert view["state"] == "done"
            assert view["vps"]["vp1"]["results"] == 3
            shown = (await user.get(f"/v1/runs/{run}")).json()
            assert shown["vps"]["vp1"]["end"]["counters"] == {"calls": 1.0}
            assert (await user.get(f"/v1/runs/{run}/script")).content == source

    with_world(tmp_path, test)


def test_events_are_resumable_and_live(tmp_path: Path) -> None:
    """A stream shows events as they arrive, and goes on behind any id without a gap or a repetition."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        async with world.vp("vp1") as vp:
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await vp.wait(lambda: bool(vp.offers))
            seen: list[dict[str, Any]] = []
            async with user.stream("GET", f"/v1/runs/{run}/events?follow=1") as stream:
                chunks = stream.aiter_bytes()
                for number in range(5):
                    vp.spool.append(run, link.Output(str(number)))
                    while not (seen and seen[-1]["data"].get("text") == str(number)):
                        chunk = await anext(chunks)
                        seen += [json.loads(line) for line in chunk.split(b"\n") if line]
            vp.spool.append(run, link.End(outcome="finished"))
            whole = await events(user, run)

            assert whole[: len(seen)] == seen
            for after in (whole[0]["id"], whole[3]["id"], whole[-1]["id"]):
                assert await events(user, run, after) == [line for line in whole if line["id"] > after]

    with_world(tmp_path, test)


def test_several_vps_end_one_by_one(tmp_path: Path) -> None:
    """A run is done when it has ended on its last VP."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        async with world.vp("vp1", finishing()), world.vp("vp2") as slow, world.vp("vp3", finishing()):
            asked = request(select={"names": ["vp1", "vp2", "vp1"]})
            answer = (await user.post("/v1/runs", json=asked)).json()
            assert answer["vps"] == ["vp1", "vp2"]
            run = answer["run"]
            await slow.wait(lambda: bool(slow.offers))

            async def outcome(vp: str) -> str | None:
                return (await user.get(f"/v1/runs/{run}")).json()["vps"][vp]["outcome"]  # type: ignore[no-any-return]

            while await outcome("vp1") is None:
                await asyncio.sleep(0.01)
            assert (await user.get(f"/v1/runs/{run}")).json()["state"] == "running"
            slow.spool.append(run, link.End(outcome="failed", status=1))
            ends = {line["vp"]: line["data"]["outcome"] for line in await events(user, run) if line["type"] == "end"}
            assert ends == {"vp1": "finished", "vp2": "failed"}

    with_world(tmp_path, test)


def test_cancel(tmp_path: Path) -> None:
    """A cancel reaches the VP with who asked, and a run that has ended cannot be cancelled."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        async with world.vp("vp1") as vp:
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await vp.wait(lambda: bool(vp.offers))
            assert (await user.post(f"/v1/runs/{run}/cancel")).status_code == 200
            await vp.wait(lambda: bool(vp.cancels))
            assert vp.cancels == [(run, "alice")]
            vp.spool.append(run, link.End(outcome="cancelled", reason="cancelled by alice"))
            told = await events(user, run)
            assert {"state": "cancelling", "by": "alice"} in [line["data"] for line in told]
            again = await user.post(f"/v1/runs/{run}/cancel")
            assert (again.status_code, again.json()["error"]["code"]) == (409, "run-ended")

    with_world(tmp_path, test)


def test_researchers_see_their_own_operators_all(tmp_path: Path) -> None:
    """For everybody else than its owner and operators, a run does not exist."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        async with (
            world.vp("vp1", finishing(link.Output("secret"))),
            world.user("bob") as bob,
            world.user("olga", "operator") as olga,
        ):
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await events(user, run)
            paths = ("", "/events", "/script", "/vps/vp1/files", "/vps/vp1/file?name=output.txt")
            for path in paths:
                assert (await user.get(f"/v1/runs/{run}{path}")).status_code == 200
                assert (await olga.get(f"/v1/runs/{run}{path}")).status_code == 200
                assert (await bob.get(f"/v1/runs/{run}{path}")).status_code == 404
            assert (await bob.post(f"/v1/runs/{run}/cancel")).status_code == 404
            assert (await bob.get("/v1/runs")).json() == {"runs": []}
            assert len((await olga.get("/v1/runs")).json()["runs"]) == 1

    with_world(tmp_path, test)


BAD = [
    pytest.param(request(select={"names": ["vp2"]}), 404, "unknown-vp", "'vp2'", id="unknown vp"),
    pytest.param(request(select={"names": ["away"]}), 409, "vp-offline", "away", id="vp not connected"),
    pytest.param(request(select={"names": []}), 400, "bad-request", "empty", id="no names"),
    pytest.param(request(select={}), 400, "bad-request", "which vantage points", id="no selection"),
    pytest.param(
        request(select={"names": ["vp1"], "selector": "all"}),
        400,
        "bad-request",
        "which",
        id="both selections",
    ),
    pytest.param(request(select={"selector": "cc=xx"}), 409, "no-vp", "cc=xx", id="selector fits none"),
    pytest.param(request(select={"selector": "tags=x"}), 422, "bad-selector", "tags", id="selector unreadable"),
    pytest.param(request(b"x" * 10_000_000), 413, "too-large", "10000000 bytes", id="script of 10 MB"),
    pytest.param(request(b"ok\n\xff\n"), 422, "not-utf-8", "line 2 holds the byte 0xff", id="not UTF-8"),
    pytest.param(request(filename="a/b.py"), 400, "bad-request", "a/b.py", id="path as a file name"),
    pytest.param(request(inputs={"..": ""}), 400, "bad-request", "'..'", id="path as an input's name"),
    pytest.param(request(limits={"wall_s": -1}), 400, "bad-request", "wall_s", id="negative limit"),
    pytest.param(request(args=[1]), 400, "bad-request", "args", id="argument that is no text"),
    pytest.param(request(argv=[]), 400, "bad-request", "argv", id="unknown field"),
    pytest.param(request() | {"source": "%%"}, 400, "bad-request", "source", id="not base64"),
    pytest.param({}, 400, "bad-request", "filename", id="empty object"),
    pytest.param(
        request(inputs={"big": base64.b64encode(b"x" * (9 << 20)).decode()}),
        413,
        "too-large",
        "inputs",
        id="inputs",
    ),
]


def test_bad_submissions(tmp_path: Path) -> None:
    """A bad submission is refused with its code and a sentence that names what is wrong; nothing starts."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        await world.identity("away")
        async with world.vp("vp1") as vp:
            for case in BAD:
                body, status, code, words = case.values
                answer = await user.post("/v1/runs", json=body)
                error = answer.json()["error"]
                assert (status, code) == (answer.status_code, error["code"]), case.id
                assert words in error["message"], case.id
                assert set(error) == {"code", "message", "hint", "details"}
            for raw in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
                answer = await user.post("/v1/runs", content=raw)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad-request")
            answer = await user.post("/v1/runs", content=b" " * (33 << 20))
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
            assert (await user.get("/v1/runs")).json() == {"runs": []}
            assert vp.offers == []

    with_world(tmp_path, test)


def test_near_names(tmp_path: Path) -> None:
    """A VP's name with a typing error is refused with the names that are near."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        async with world.vp("wlg-nz"), world.vp("akl-nz"):
            answer = await user.post("/v1/runs", json=request(select={"names": ["wlq-nz"]}))
            assert answer.json()["error"]["details"]["near"][0] == "wlg-nz"
            assert "Did you mean 'wlg-nz'" in answer.json()["error"]["hint"]

    with_world(tmp_path, test)


WRONG = [
    ("GET", "/v1/nothing", 404, "not-found"),
    ("DELETE", "/v1/runs", 405, "method-not-allowed"),
    ("GET", "/v1/runs/none", 404, "not-found"),
    ("GET", "/v1/runs/none/events", 404, "not-found"),
    ("GET", "/v1/runs/none/vps/vp1/files", 404, "not-found"),
    ("GET", "/v1/runs?limit=x", 400, "bad-request"),
]


def test_one_error_shape(tmp_path: Path) -> None:
    """Every failing answer has the one JSON shape."""

    async def test(_: World, user: httpx.AsyncClient) -> None:
        for method, path, status, code in WRONG:
            answer = await user.request(method, path)
            assert (status, code) == (answer.status_code, answer.json()["error"]["code"])
            assert set(answer.json()["error"]) == {"code", "message", "hint", "details"}

    with_world(tmp_path, test)


def test_without_a_token(tmp_path: Path) -> None:
    """Without a good token everything but health answers 401 and tells nothing."""

    async def test(world: World, _: httpx.AsyncClient) -> None:
        for header in (None, "Bearer usr_wrong", "Basic YWxpY2U6eA==", "Bearer", "Bearer " + "x" * 4000):
            headers = {} if header is None else {"Authorization": header}
            async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as stranger:
                for path in ("/v1/me", "/v1/vps", "/v1/runs", "/v1/runs/x", "/v1/runs/x/events"):
                    answer = await stranger.get(path)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
                assert (await stranger.post("/v1/runs", json=request())).status_code == 401
                assert (await stranger.get("/v1/health")).json()["status"] == "ok"

    with_world(tmp_path, test)


def test_a_vp_token_is_no_user_token(tmp_path: Path) -> None:
    """What opens a VP's link does not open the researcher's API."""

    async def test(world: World, _: httpx.AsyncClient) -> None:
        identity = await world.identity("vp1")
        headers = {"Authorization": f"Bearer {identity.token}"}
        async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as vp:
            assert (await vp.get("/v1/runs")).status_code == 401

    with_world(tmp_path, test)


def test_lost_and_found(tmp_path: Path) -> None:
    """A VP that stays away loses its run; if it delivers after all, its events and its own end are kept."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        vp = Vp(await world.identity("vp1"), tmp_path / "spool")
        async with vp.up():
            await vp.wait_linked()
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await vp.wait(lambda: bool(vp.offers))
            vp.spool.append(run, link.State("running"))
            await until(lambda: vp.spool.newest == 1 and vp.spool.stored_bytes == 0)
        told = await events(user, run)
        assert [line["data"].get("outcome") for line in told[-2:]] == ["lost", None]
        assert "has been away" in told[-2]["data"]["reason"]

        vp.running = [run]
        async with vp.up():
            vp.spool.append(run, link.Output("late but here\n"))
            vp.spool.append(run, link.End(outcome="finished", status=0))
            await vp.wait_linked()
            await until(lambda: vp.spool.newest == 3 and vp.spool.stored_bytes == 0)
            view = (await user.get(f"/v1/runs/{run}")).json()
            assert (view["state"], view["vps"]["vp1"]["outcome"]) == ("done", "finished")
            assert "late but here" in (await user.get(f"/v1/runs/{run}/vps/vp1/file?name=output.txt")).text

    with_world(tmp_path, test, grace_s=0.1)


def test_a_run_is_kept_up_to_its_limit(tmp_path: Path) -> None:
    """Bulk beyond what the controller keeps of a run is dropped with a note; the end still counts."""

    async def test(world: World, user: httpx.AsyncClient) -> None:
        bulk = [link.Measurement(0, b"x" * 300_000)] * 8
        async with world.vp("vp1", finishing(*bulk)):
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            told = await events(user, run)
            assert [line["type"] for line in told].count("measurement") == 3
            assert [line["data"]["text"] for line in told if line["type"] == "note"] == [
                "the controller keeps at most 1 MiB of a run; the rest is dropped"
            ]
            view = (await user.get(f"/v1/runs/{run}")).json()["vps"]["vp1"]
            assert (view["outcome"], view["dropped"]) == ("finished", 5)

    with_world(tmp_path, test, most_run_bytes=1 << 20)
