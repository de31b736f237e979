"""Examples for the API's description: the answers about one made-up account, made by what makes the real ones."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from msgspec import to_builtins

from models.bodies import OutputEvent, Snapshot, encode
from models.events import AccountEvent, OrderCompleted, ProfileUpdated, Ratings
from models.fields import epoch_ms
from models.policy import Policy
from models.state import AccountState
from processors.account import apply
from processors.context import Context
from processors.snapshots import snapshot
from stream.serving.portfolio import portfolio_of
from stream.serving.results import (
    AccountDetail,
    AccountPage,
    Change,
    ChangePage,
    ScorePoint,
    ViewStatus,
)
from stream.serving.rows import row_of
from stream.serving.sample import sampled_of
from stream.serving.trial import PolicyTrial, trial_of, tried
from stream.serving.turning import months_of
from stream.view.entry import ProfileBody, SnapshotBody, decode_body, digits, entry_of, minor
from stream.view.months import PARTS, WHOLE
from stream.view.totals import Total

_ACCOUNT_ID: Final = "ACC-000004"
_BEGIN: Final = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_TRIED: Final = {"weights": {"revenue": 60}, "tiers": {"growth": {"enter": 65, "leave": 60}}}
_ORDERS: Final = 6
_EVERY: Final = timedelta(days=21)


@cache
def _lived() -> tuple[Snapshot, tuple[OutputEvent, ...]]:
    """Let the account live for a while; give its snapshot and what was published."""
    context = Context(Policy(reporting_currency="EUR"))
    said = {
        "segment": "upper mid-market",
        "owner": "Frida Lindqvist",
        "region": "Austria",
        "ratings": {name: {"value": 67, "rated_at": "2026-01-05"} for name in Ratings.model_fields},
        "budget": {"amount": "20000", "currency": "EUR"},
    }
    profile = ProfileUpdated.model_validate(
        {
            "event_id": "p1",
            "account_id": _ACCOUNT_ID,
            "occurred_at": _BEGIN,
            "profile_version": 6,
            "name": "Ulmer Paper GmbH",
            **said,
        }
    )
    orders = [
        OrderCompleted.model_validate(
            {
                "event_id": f"o{number}",
                "account_id": _ACCOUNT_ID,
                "occurred_at": _BEGIN + number * _EVERY,
                "order_id": f"SO-{number}",
                "amount": str(1200 + 100 * number),
                "cost": "900",
                "currency": "EUR",
            }
        )
        for number in range(_ORDERS)
    ]
    state: AccountState | None = None
    outputs: list[OutputEvent] = []
    events: list[AccountEvent] = [profile, *orders]
    for event in events:
        step = apply(state, event, context, now_ms=epoch_ms(event.occurred_at))
        state = step.state
        outputs += step.outputs
    assert state is not None
    return snapshot(state, context), tuple(outputs)


def _turns(body: SnapshotBody) -> dict[str, dict[str, Total]]:
    """Count the loss of the account, as the view does."""
    counted = Total(1, stake=minor(body.churn.value_at_stake) or 0)
    profile = body.profile or ProfileBody()
    by = {"reason:overdue": counted, f"segment:{profile.segment}": counted, f"owner:{profile.owner}": counted}
    return {
        "currency": {f"{body.currency}:{digits(body.longest.revenue)}": Total(1)},
        WHOLE: {"2026-04:lost": counted},
        PARTS: {f"2026-04:lost:{name}": one for name, one in by.items()},
    }


@cache
def examples() -> dict[str, Any]:
    """Give an example of each of the larger schemas, by its name."""
    said, outputs = _lived()
    body = decode_body(encode(said))
    entry = entry_of(body)
    totals: dict[str, dict[str, Total]] = {}
    for group, value in entry.totals:
        totals.setdefault(group, {}).setdefault(value, Total()).add(entry, 1)
    changes = tuple(
        Change.model_validate({"cursor": f"1767605400000-{number}", "event": to_builtins(one)})
        for number, one in enumerate(outputs, 1)
    )
    point = ScorePoint(
        day=said.as_of.date(),
        score=said.score,
        risk=said.churn.risk,
        tier=said.tier,
        churn_level=said.churn.level,
    )
    answers = {
        "AccountPage": AccountPage(items=(row_of(body),), next=None, total=1),
        "AccountDetail": AccountDetail.model_validate(
            {
                "snapshot": to_builtins(said),
                "history": [to_builtins(one) for one in reversed(outputs)],
                "points": (point,),
            }
        ),
        "Portfolio": portfolio_of(totals),
        "ChurnMonths": months_of(_turns(body), None, said.as_of),
        "ChangePage": ChangePage(items=changes, next=f"1767605400000-{len(changes)}", more=False),
        "TrialResult": tried(
            trial_of(
                Policy(reporting_currency=body.currency),
                PolicyTrial.model_validate(_TRIED),
            ),
            [sampled_of(encode(said), rating_days=365)],
            1,
            digits(body.longest.revenue),
        ),
        "ViewStatus": ViewStatus(built=True, accounts=1, updated_at=said.as_of, built_at=said.as_of, progress=1.0),
    }
    return {name: one.model_dump(mode="json") for name, one in answers.items()}
