"""Claims: whose turn it is at a target, without deadlock, starvation or leftovers."""

from hypothesis import given
from hypothesis import strategies as st

from onvp.policies.action import Action, parse
from onvp.sandbox.prober.claims import Claim, Claims, Ticket, claims_of
from onvp.sandbox.prober.dialect import Dialect, dialect_of

OLD, NEW = dialect_of("20211212"), dialect_of("20260420")
COMPANION = dialect_of("onvp-0.1.0", "dns,udpprobe")


def claims(*names: str, group: str) -> list[Claim]:
    """Claims by short names."""
    return [Claim("ip", name, 0, group) for name in names]


def things(call: Action, dialect: Dialect) -> set[object]:
    """What a task claims, whatever its group."""
    return {claim.thing for claim in claims_of(call, dialect)}


class Desk:
    """Claims, and who holds what according to them."""

    def __init__(self) -> None:
        self.claims = Claims()
        self.holding: list[str] = []
        self.tickets: dict[str, Ticket] = {}

    def ask(self, name: str, *wanted: str, shared: bool = False) -> None:
        """Request; the holder is noted now or when it is granted."""
        ticket = Ticket(claims(*wanted, group="g" if shared else ""), granted=lambda: self.holding.append(name))
        self.take(name, ticket)

    def take(self, name: str, ticket: Ticket) -> None:
        """Request with a ready ticket."""
        self.tickets[name] = ticket
        if self.claims.request(ticket):
            self.holding.append(name)

    def give_back(self, name: str) -> None:
        """Release, granted or not."""
        if name in self.holding:
            self.holding.remove(name)
        self.claims.release(self.tickets.pop(name))


def test_tasks_at_one_target_follow_each_other_in_order() -> None:
    """First come, first served; others are not concerned."""
    desk = Desk()
    for name, target in (("one", "a"), ("two", "a"), ("three", "a"), ("other", "b")):
        desk.ask(name, target)
    assert desk.holding == ["one", "other"]
    desk.give_back("one")
    assert desk.holding == ["other", "two"]
    desk.give_back("three")
    desk.give_back("two")
    assert desk.holding == ["other"]


def test_shared_claims_stand_together_but_let_nobody_starve() -> None:
    """Two shared ones at once; an exclusive one between them is not overtaken."""
    desk = Desk()
    desk.ask("s1", "a", shared=True)
    desk.ask("s2", "a", shared=True)
    desk.ask("x", "a")
    desk.ask("s3", "a", shared=True)
    assert desk.holding == ["s1", "s2"]
    desk.give_back("s1")
    desk.give_back("s2")
    assert desk.holding == ["x"]
    desk.give_back("x")
    assert desk.holding == ["s3"]


def test_many_targets_are_taken_together() -> None:
    """A task at several targets waits for all of them, and crossing wishes do not lock each other out."""
    desk = Desk()
    desk.ask("x", "b")
    desk.ask("ab", "a", "b")
    desk.ask("ba", "b", "a")
    assert desk.holding == ["x"]
    desk.give_back("x")
    assert desk.holding == ["ab"]
    desk.give_back("ab")
    assert desk.holding == ["ba"]


@given(
    st.lists(
        st.tuples(st.booleans(), st.sets(st.sampled_from("abcd"), max_size=3), st.booleans(), st.integers(0, 9)),
        max_size=60,
    )
)
def test_nobody_waits_for_nothing_and_nothing_is_left(
    steps: list[tuple[bool, set[str], bool, int]],
) -> None:
    """In any order of requests and releases, holders never clash, and when all have left, all is free."""
    desk = Desk()
    wanted: dict[str, tuple[set[str], bool]] = {}
    for number, (arrive, targets, shared, which) in enumerate(steps):
        if arrive or not desk.tickets:
            wanted[str(number)] = (targets, shared)
            desk.ask(str(number), *targets, shared=shared)
        else:
            desk.give_back(list(desk.tickets)[which % len(desk.tickets)])
        for one in desk.holding:
            for other in desk.holding:
                both_shared = wanted[one][1] and wanted[other][1]
                assert one == other or both_shared or not wanted[one][0] & wanted[other][0]
        assert desk.holding or not desk.tickets, "somebody is always served"
    while desk.tickets:
        assert desk.holding
        desk.give_back(desk.holding[0])
    assert not desk.claims._locks


def test_what_scamper_would_hold_back_has_a_key_in_common() -> None:
    """20211212 goes by address alone; current releases by protocol too; the companion holds nothing back."""
    ping = parse("ping", {"dst": "192.0.2.1"})
    trace = parse("trace", {"dst": "192.0.2.1"})
    other = parse("ping", {"dst": "192.0.2.2"})
    ally = parse("ally", {"dst1": "192.0.2.1", "dst2": "192.0.2.2", "method": "icmp-echo"})
    assert things(ping, OLD) & things(trace, OLD)
    assert not things(ping, NEW) & things(trace, NEW)
    assert not things(ping, OLD) & things(other, OLD)
    for dialect in (OLD, NEW):
        assert things(ally, dialect) & things(ping, dialect)
        assert things(ally, dialect) & things(other, dialect)
    assert claims_of(ping, COMPANION) == []


def test_questions_are_the_same_by_name_and_type() -> None:
    """Letters' case and a trailing dot make no other question; another server does, to current releases."""
    one = parse("dns", {"qname": "A.example.", "server": "192.0.2.1"})
    two = parse("dns", {"qname": "a.example", "qtype": "A", "server": "192.0.2.2"})
    assert things(one, OLD) == things(two, OLD)
    assert things(one, NEW) != things(two, NEW)


def test_lookups_and_questions_for_addresses_are_not_mixed_on_the_old_generation() -> None:
    """Traces that look names up go together, questions go together; one of each would kill it."""
    lookups = [parse("trace", {"dst": f"192.0.2.{n}", "ptr": True}) for n in (1, 2)]
    questions = [parse("dns", {"qname": f"192.0.2.{n}"}) for n in (1, 2)]
    desk = Desk()
    for name, call in zip("abcd", [lookups[0], questions[0], lookups[1], questions[1]], strict=True):
        desk.take(name, Ticket(claims_of(call, OLD), granted=lambda name=name: desk.holding.append(name)))
    assert desk.holding == ["a"]
    desk.give_back("a")
    assert desk.holding == ["b"]
    desk.give_back("b")
    assert desk.holding == ["c"]
    desk.give_back("c")
    assert desk.holding == ["d"]
    assert not things(lookups[0], NEW) & things(questions[0], NEW)


def test_udpprobes_to_one_target_run_side_by_side() -> None:
    """Each has ports of its own."""
    action = parse("udpprobe", {"dst": "192.0.2.1", "dport": 53, "payload": b"x"})
    desk = Desk()
    for name in "ab":
        desk.take(name, Ticket(claims_of(action, NEW), granted=lambda: None))
    assert desk.holding == ["a", "b"]
