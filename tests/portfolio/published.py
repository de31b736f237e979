"""The published histories, through the core: packed states, censuses and cut points as of the last day."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from models.codec import unpack
from models.events import TOPIC_OF_TYPE
from models.policy import Policy
from models.portfolio import CutPoints, decode_census, encode_census
from models.state import AccountState
from models.wire import Refusal, parse
from processors import classes
from processors.classes import Older
from processors.context import Context
from processors.partition import Partition
from processors.portfolio.census import Counted, publishable, published, rows_of, take
from processors.portfolio.cutting import cut_points
from stream.handling import partition_of
from stream.importers.presets import Extras, Preset
from tests.importers.running import run_preset

PARTITIONS: Final = 3
SETS: Final = {
    "Online Retail": (Preset.ONLINE_RETAIL, "online_retail.csv.xz", None, "GBP"),
    "CDNOW sample": (Preset.CDNOW, "CDNOW_sample.txt", None, "USD"),
    "AdventureWorks resellers": (
        Preset.ADVENTUREWORKS_RESELLERS,
        "adventureworks_resellers.csv.xz",
        "adventureworks_reseller_names.csv",
        "USD",
    ),
}


class Portfolio(NamedTuple):
    """One history after its last day."""

    events: list[dict[str, Any]]
    states: dict[str, AccountState]
    censuses: list[Counted]
    """Of each of three partitions."""
    last_day: int
    context: Context

    def cuts(self, *, one_worker: bool) -> CutPoints:
        """Draw cut points as one worker that holds all partitions does, or as from what three have published."""
        drawn = self.censuses
        if not one_worker:
            drawn = [published(decode_census(encode_census(publishable(one)))) for one in drawn]
        return cut_points(drawn, 1, self.context.policy.classes)

    def xyz(self, state: AccountState) -> str | None:
        """Classify an account as an evaluation does."""
        horizon = range(self.last_day - self.context.policy.horizon_days + 1, self.last_day + 1)
        first = state.old_first_order_day
        if first is None:
            first = next((day for day, count in zip(state.days, state.orders, strict=True) if count > 0), None)
        older = Older(state.old_block, state.old_block_revenue_minor)
        sums = classes.blocks(state.days, state.revenue_minor, older, first, horizon)
        return classes.xyz(sums, self.context.policy.classes)


def portfolio(data_dir: Path, name: str) -> Portfolio:
    """Replay one history to the end of its last day."""
    preset, file, profiles, currency = SETS[name]
    imported = run_preset(preset, data_dir / file, Extras(profiles=data_dir / profiles) if profiles else Extras())
    context = Context(Policy(reporting_currency=currency))
    partitions = [Partition(context) for _ in range(PARTITIONS)]
    last_ms = 0
    for line, event in zip(imported.lines, imported.events, strict=True):
        key = event["account_id"].encode()
        parsed = parse(TOPIC_OF_TYPE[event["type"]], key, line)
        assert not isinstance(parsed, Refusal)
        assert parsed.type != "clock.advanced"
        if not event["type"].startswith("profile."):
            last_ms = max(last_ms, parsed.occurred_ms)
        partitions[partition_of(key, PARTITIONS)].apply(parsed)
    last_day = context.day_of(last_ms)
    states: dict[str, AccountState] = {}
    for accounts in partitions:
        for _ in accounts.tick(context.end_of_day_ms(last_day), 10**9):
            pass
        accounts.commit(accounts.changes())
        states |= {state.account_id: state for state in map(unpack, accounts.packed_states())}
    censuses = [take(rows_of(accounts.packed_states()), last_day) for accounts in partitions]
    return Portfolio(imported.events, states, censuses, last_day, context)
