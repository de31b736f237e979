"""From what the view stores of an account to what a list and a page show of it."""

from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Final

from pydantic import TypeAdapter

from models.outputs import ChurnEvent, TierChanged
from models.snapshots import Snapshot
from stream.serving.results import AccountDetail, AccountRow, ScorePoint
from stream.view.account import read_points
from stream.view.arrangement import Dimension
from stream.view.entry import ProfileBody, SnapshotBody, decode_body, name_members, read_name_member, values_of
from stream.view.record import packed_snapshot, read_record, read_snapshot

STORED_CACHED: Final = 4096
"""Stored snapshots that are read once for many answers: those at the top of every list."""
CHANGE_ADAPTER: TypeAdapter[TierChanged | ChurnEvent] = TypeAdapter(TierChanged | ChurnEvent)


class Stored:
    """A stored snapshot, read once for many answers."""

    def __init__(self, packed: bytes) -> None:
        self.body: Final = decode_body(read_snapshot(packed))

    @cached_property
    def row(self) -> AccountRow:
        """The account's line in a list."""
        return row_of(self.body)

    @cached_property
    def beginnings(self) -> tuple[str, ...]:
        """The name from each of its first words on, as it is searched."""
        members = name_members(self.body.name, self.body.account_id.encode())
        return tuple(read_name_member(one).text for one in members)

    @cached_property
    def values(self) -> frozenset[tuple[Dimension, str]]:
        """What it has in each dimension."""
        return frozenset(values_of(self.body))


def stored_of(record: bytes | None) -> Stored | None:
    """Read what lists show of a stored account; None where there is none, or no snapshot of it yet.

    Raises:
        ValueError: if it was not stored by this version.
    """
    packed = None if record is None else packed_snapshot(record)
    return None if packed is None else _stored_of(packed)


@lru_cache(maxsize=STORED_CACHED)
def _stored_of(packed: bytes) -> Stored:
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


def detail_of(record: bytes | None) -> AccountDetail | None:
    """Give all that is stored of an account; None where there is none.

    Raises:
        ValueError: if it was not stored by this version.
    """
    stored, rest = (None, None) if record is None else read_record(record)
    if stored is None or rest is None:
        return None
    snapshot = Snapshot.model_validate_json(stored)
    history = [CHANGE_ADAPTER.validate_json(event) for event in rest.changes]
    return AccountDetail(
        snapshot=snapshot,
        history=tuple(one for one in reversed(history) if one.incarnation == snapshot.incarnation),
        points=tuple(
            ScorePoint(day=one.day, score=one.score, risk=one.risk, tier=one.tier, churn_level=one.level)
            for one in read_points(rest.points)
        ),
    )
