"""From what the view stores of an account to what a list and a page show of it."""

from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Final

from pydantic import TypeAdapter

from models.outputs import ChurnEvent, TierChanged
from models.snapshots import Snapshot
from stream.serving.results import AccountDetail, AccountRow, ScorePoint
from stream.view.account import read_history, read_points
from stream.view.entry import ProfileBody, SnapshotBody, decode_body
from stream.view.packing import unpack

STORED_CACHED: Final = 4096
"""Stored snapshots that are read once for many answers: those at the top of every list."""
CHANGE_ADAPTER: TypeAdapter[TierChanged | ChurnEvent] = TypeAdapter(TierChanged | ChurnEvent)


class Stored:
    """A stored snapshot, read once for many answers."""

    def __init__(self, packed: bytes) -> None:
        self.body: Final = decode_body(unpack(packed))

    @cached_property
    def row(self) -> AccountRow:
        """The account's line in a list."""
        return row_of(self.body)


@lru_cache(maxsize=STORED_CACHED)
def stored_of(packed: bytes) -> Stored:
    """Read what lists show of a stored snapshot.

    Raises:
        ValueError: if it was not stored by this version.
    """
    return Stored(packed)


def row_of(body: SnapshotBody) -> AccountRow:
    """Give an account's line in a list."""
    profile, classes, longest = body.profile or ProfileBody(), body.classes, body.longest
    last_order = body.lifetime.last_order
    return AccountRow(
        account_id=body.account_id,
        name=body.name,
        tier=body.tier,
        score=body.score,
        confidence=body.confidence,
        churn_level=body.churn.level,
        risk=body.churn.risk,
        reasons=tuple(body.churn.reasons),
        value_at_stake=body.churn.value_at_stake,
        value_lost=body.value_lost,
        lost_on=None if body.churn.lost_on is None else date.fromisoformat(body.churn.lost_on),
        revenue=longest.revenue,
        profit=longest.profit,
        orders=longest.orders,
        currency=body.currency,
        abc_revenue=classes.abc_revenue,
        abc_profit=classes.abc_profit,
        xyz=classes.xyz,
        rfm_segment=None if classes.rfm is None else classes.rfm.segment,
        account_types=tuple(classes.account_types),
        lifecycle=body.lifecycle,
        segment=profile.segment,
        owner=profile.owner,
        region=profile.region,
        last_order=None if last_order is None else date.fromisoformat(last_order),
        actions=tuple(one.name for one in body.actions),
        as_of=datetime.fromisoformat(body.as_of),
        revision=body.revision,
    )


def detail_of(packed_body: bytes, packed_history: bytes | None, points: bytes | None) -> AccountDetail:
    """Give all that is stored of an account.

    Raises:
        ValueError: if it was not stored by this version.
    """
    snapshot = Snapshot.model_validate_json(unpack(packed_body))
    history = [CHANGE_ADAPTER.validate_json(event) for event in read_history(packed_history)]
    return AccountDetail(
        snapshot=snapshot,
        history=tuple(one for one in reversed(history) if one.incarnation == snapshot.incarnation),
        points=tuple(
            ScorePoint(day=one.day, score=one.score, risk=one.risk, tier=one.tier, churn_level=one.level)
            for one in read_points(points or b"")
        ),
    )
