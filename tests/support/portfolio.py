"""A view with many accounts that are easy to reckon with, written without Kafka."""

import random
from typing import Any, Final

from stream.view import keys as names
from stream.view.writing import Batch, ViewWriter
from tests.support.redis import RedisServer
from tests.support.snapshots import churn_change, snapshot, tier_change

_BATCH: Final = 200
_WORDS: Final = (
    "Acme",
    "Müller",
    "Ōsaka",
    "paper",
    "Papier",
    "& Söhne",
    "Trading",
    "GmbH",
    "<script>alert(1)</script>",
)


def accounts(count: int, seed: int = 1) -> dict[str, bytes]:
    """Make snapshots, by account; many have values in common."""
    chance = random.Random(seed)
    return {one: _snapshot(one, chance) for one in (f"ACC-{number:05d}" for number in range(count))}


def _snapshot(account_id: str, chance: random.Random) -> bytes:
    level = chance.choice(["none", "low", "low", "low", "medium", "high", "lost", "lost"])
    stake = f"{chance.choice([0, 10, chance.randrange(10_000)])}.50"
    revenue = chance.choice(["-3.00", "0.00", f"{chance.randrange(100_000)}.25"])
    said: dict[str, Any] = {
        "name": " ".join(chance.sample(_WORDS, chance.randint(1, 3))) if chance.random() < 0.95 else None,
        "tier": chance.choice(["key", "growth", "standard", "basic", "basic", "unrated"]),
        "score": chance.choice([None, 0.0, 50.0, round(chance.uniform(0, 100), 2)]),
        "revenue": revenue,
        "risk": None if level == "none" else chance.choice([0.5, round(chance.random(), 4)]),
        "level": level,
        "value_at_stake": None if level == "none" else stake,
        "value_lost": stake if level == "lost" else None,
        "abc_revenue": chance.choice(["A", "B", "C", "C", None]),
        "xyz": chance.choice(["X", "Y", "Z", None]),
        "rfm": None
        if chance.random() < 0.3
        else {"r": chance.randint(1, 5), "f": chance.randint(1, 5), "m": 3, "segment": "loyal"},
        "account_types": chance.choice([[], ["breadwinner"], ["breadwinner", "image_maker"]]),
        "lifecycle": chance.choice(["new", "steady", "growing", "lost"]),
        "segment": chance.choice(["retail", "wholesale", None]),
        "owner": f"Owner {chance.randrange(20)}",
        "region": chance.choice(["North", "South", None]),
    }
    return snapshot(account_id, **said)


def fill(server: RedisServer, application_id: str, snapshots: dict[str, bytes], *, changes: int = 0) -> ViewWriter:
    """Write a view that is complete, with so many changes of the first accounts."""
    writer = ViewWriter(server.client(), application_id, 100)
    writer.load()
    writer.begin({})
    items = list(snapshots.items())
    for first in range(0, len(items), _BATCH):
        writer.write(Batch({account_id: [value] for account_id, value in items[first : first + _BATCH]}), {})
    for number in range(1, changes + 1):
        account_id = items[number % len(items)][0]
        make = tier_change if number % 2 else churn_change
        writer.write(Batch(changes={account_id: [make(account_id, number)]}), {})
    writer.write(Batch(), {names.BUILT_AT: writer.meta[names.BUILD]})
    return writer
