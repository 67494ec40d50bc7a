"""The page for site hosts says everything that the file says."""

from pathlib import Path

import pytest

from onvp.policies.action import ACTIONS
from onvp.policies.combine import combine, platform_layer
from onvp.policies.explain import explain_policy, statement
from onvp.policies.load import load_bytes, load_file
from onvp.policies.parameters import CHOICES, PARAMETERS, field_of

EXAMPLES = sorted(Path("policies/examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_rule_has_its_sentence(path: Path) -> None:
    """Every primitive, bound, budget, window, role and limit of a file has a sentence with its line."""
    layer = load_file(path)
    text = statement(combine([layer]))

    origins = [rules.origin for rules in (layer.primitives or {}).values()]
    for rules in (layer.primitives or {}).values():
        origins += [x.origin for x in (*rules.bounds, *rules.choices, *rules.ports, *rules.forbidden)]
    d = layer.destinations
    origins += [x.origin for x in (*d.deny, *d.reopen, *d.names, *layer.budgets, *layer.windows)]
    origins += [x.origin for x in layer.scripts.limits.values()] + [r.origin for r in (layer.roles or {}).values()]
    for origin in origins:
        assert f"[{origin.where}]" in text, origin
    assert combine([layer]).digest in text


def test_worst_case() -> None:
    """The worst case of a day is bounded by rates and by budgets, whichever is less."""
    layer = load_bytes(
        b"onvp-policy: 1\nlayer: host\nprimitives: {ping: {allow: true}}\ndestinations: {allow: [global-unicast]}\n"
        b"rates: {vp: {pps: 10}}\nbudgets: {vp: {day: {bytes: 3MB}, month: {packets: 5k}}, zone: UTC}\n",
        "site.yaml",
    )

    assert explain_policy(combine([layer]))[0] == (
        "At worst, 5,000 packets and 3 MB a day leave this network for all users together; "
        "never more than 10 packets a second over any longer time [site.yaml:5]."
    )


def test_closed() -> None:
    """A VP without a policy says that nothing is allowed."""
    assert "Nothing is allowed" in statement(combine([platform_layer()]))


def test_vocabulary_and_language_agree() -> None:
    """Whatever the language bounds or lists exists in the vocabulary, for each primitive."""
    assert set(PARAMETERS) == set(ACTIONS)
    for primitive, parameters in PARAMETERS.items():
        for word in parameters:
            assert field_of(primitive, word) in ACTIONS[primitive].__struct_fields__
    assert set(CHOICES) <= set(ACTIONS)
