"""Bodies as the core makes them are what the published contract says, byte for byte."""

from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from models import bodies, outputs, snapshots
from models.outputs import Output
from models.policy import Policy
from models.snapshots import Snapshot
from processors.snapshots import snapshot
from tests.core.histories import Arrival, histories, policies, portfolios
from tests.core.test_invariants import walk
from tests.support.portfolios import Portfolio
from tests.support.scenario import play

_EVENTS: Final = TypeAdapter[outputs.OutputEvent](outputs.OutputEvent)
_CONTRACTS: Final[dict[str, tuple[type[Output], ...]]] = {
    **{
        name: (one,)
        for name, one in {**vars(snapshots), **vars(outputs)}.items()
        if isinstance(one, type) and issubclass(one, Output)
    },
    "ChurnEvent": (outputs.ChurnRiskChanged, outputs.AccountLost, outputs.AccountRecovered),
}
BODIES: Final = [one for one in vars(bodies).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]


@pytest.mark.parametrize("body", BODIES, ids=lambda one: one.__name__)
def test_a_body_has_the_fields_of_its_contract(body: type[msgspec.Struct]) -> None:
    """The same names in the same order, and none that may be left out."""
    fields = msgspec.structs.fields(body)
    assert all(one.required for one in fields)
    for contract in _CONTRACTS[body.__name__]:
        assert list(contract.model_fields) == [one.name for one in fields]


@given(policies(), histories(), portfolios(), portfolios())
def test_every_body_is_what_the_contract_would_serialise(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Whatever is published validates against the contract's model, which serialises it to the very same bytes."""
    for state, step, context in walk(policy, history, one, other):
        for change in step.outputs:
            body = bodies.encode(change)
            assert _EVENTS.validate_json(body).model_dump_json().encode() == body
        body = bodies.encode(snapshot(state, context))
        shown = Snapshot.model_validate_json(body)
        assert shown.model_dump_json().encode() == body
        assert bodies.without_moment(body) == shown.model_dump_json(exclude={"as_of", "revision"}).encode()


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from([',"as_of":', '"}', ',"tier":'])
)
def test_any_text_is_written_as_the_contract_writes_it(text: str) -> None:
    """What people write into a profile needs no care, not even where it looks like JSON."""
    played = play("d0 profile 3 name=Acme since=d-9 renewal=d9 budget=500 value_fit=5@d0 override=key@d3; d0 order 100")
    made = snapshot(played.held, played.context)
    assert made.profile is not None
    profile = msgspec.structs.replace(made.profile, segment=text, owner=text, parent_id=text)
    body = bodies.encode(msgspec.structs.replace(made, name=text, account_id=text, profile=profile))
    shown = Snapshot.model_validate_json(body)

    assert shown.profile is not None
    assert (shown.name, shown.profile.owner) == (text, text)
    assert shown.model_dump_json().encode() == body
    assert bodies.without_moment(body) == shown.model_dump_json(exclude={"as_of", "revision"}).encode()
