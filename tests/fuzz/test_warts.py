"""Any bytes decode or raise WartsError: never another exception, never a hang, never unbounded memory."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onvp.native import _warts
from onvp.native.errors import WartsError
from tests.golden.compare import records
from tests.golden.describe import describe

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
SEEDS = sorted(path for path in CORPUS.rglob("*.warts") if path.parent.name != "bad")
PREAMBLE = _warts.Encoder().encode(
    _warts.make_cycle(_warts.make_list(1, "fuzz"), 1, 1)
)  # so that list 1 and cycle 1 are there


def reread(data: bytes) -> object:
    """The last object of a stream that we wrote, which must be readable."""
    try:
        return _warts.Decoder().feed(data)[-1]
    except WartsError as error:
        raise AssertionError("a record of ours that we cannot read") from error


def exercise(data: bytes) -> None:
    """Decode, and use everything that was decoded; only WartsError may come out. Results read back equal."""
    try:
        objects = _warts.Decoder().feed(data)
    except WartsError as error:
        objects = error.done
    encoder = _warts.Encoder()
    for item in objects:
        describe(item)
        _warts.json_of(item)
        str(item)
        if hasattr(item, "to_text"):
            item.to_text()
        with contextlib.suppress(WartsError):  # an alias resolution of unknown method, or of too many bytes
            encoder.encode(item)
            again = _warts.Encoder().encode(item)
            if isinstance(item, _warts.Result):
                assert describe(reread(again)) == describe(item)
    with contextlib.suppress(WartsError):
        _warts.concat([data])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.integers(1, 18), body=st.binary(min_size=1, max_size=200))
def test_random_bodies(kind: int, body: bytes) -> None:
    """A record of any type with any body."""
    exercise(PREAMBLE + b"\x12\x05" + kind.to_bytes(2, "big") + len(body).to_bytes(4, "big") + body)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_random_streams(data: bytes) -> None:
    """A stream of any bytes."""
    exercise(data)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, inserted, removed or repeated, headers kept mostly intact."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        action = rng.randrange(6)
        if action == 0:
            out[at] = rng.randrange(256)
        elif action == 1:
            out[at] ^= 1 << rng.randrange(8)
        elif action == 2:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif action == 3:
            out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
        elif action == 4:
            del out[at : at + rng.randint(1, 8)]
        else:
            out[at:at] = out[at : at + rng.randint(1, 16)]
        if not out:
            break
    return bytes(out)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_recordings(seed: int) -> None:
    """Recordings with a few bytes wrong, the lengths in the headers put right again."""
    rng = random.Random(20261123 + seed)
    for path in rng.sample(SEEDS, 30):
        whole = records(path.read_bytes())
        short = [i for i, record in enumerate(whole) if len(record) < 4000]
        for _ in range(12):
            if not short:
                break
            pick = rng.choice(short)
            record = whole[pick]
            body = mutated(record[8:], rng)
            changed = record[:4] + len(body).to_bytes(4, "big") + body
            exercise(b"".join(whole[: min(pick, 2)]) + changed)
