"""From the places that accounts had in the indexes, and those that they have now, to Redis commands."""

from collections import ChainMap, defaultdict
from collections.abc import Mapping
from typing import Any, Final

from stream.view.arrangement import Dimension
from stream.view.entry import Entry
from stream.view.keys import RANKED_DIMENSIONS, Keys
from stream.view.totals import Total

Totals = dict[str, dict[str, Total]]
"""By group and value."""


class Plan:
    """What a batch changes in the indexes, collected by key, so that there is one command for each.

    Args:
        keys: of the build.
        totals: as they are before the batch.
    """

    def __init__(self, keys: Keys, totals: Totals) -> None:
        self.totals: Final[defaultdict[str, dict[str, Total]]] = defaultdict(dict)
        """Those that change, as they are after the batch."""
        self._keys = keys
        self._before = totals
        self._ranked: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        self._unranked: defaultdict[str, list[bytes]] = defaultdict(list)
        self._joined: defaultdict[str, list[str]] = defaultdict(list)
        self._left: defaultdict[str, list[str]] = defaultdict(list)

    def move(self, account_id: str, old: Entry | None, new: Entry | None) -> None:
        """Move an account from one place to another; None is nowhere."""
        if old == new:
            return
        for entry, sign in ((old, -1), (new, 1)):
            if entry is None:
                continue
            for group, value in entry.totals:
                self.total(group, value).add(entry, sign)
        for was in _ranks(self._keys, old) - _ranks(self._keys, new):
            self._unranked[was[0]].append(was[1])
        for now in _ranks(self._keys, new) - _ranks(self._keys, old):
            self._ranked[now[0]][now[1]] = 0
        was_sets, now_sets = (frozenset() if one is None else one.sets for one in (old, new))
        for dimension, value in was_sets - now_sets:
            self._left[self._keys.members(dimension, value)].append(account_id)
        for dimension, value in now_sets - was_sets:
            self._joined[self._keys.members(dimension, value)].append(account_id)

    def queue(self, pipe: Any) -> None:
        """Queue the commands."""
        for key, members in self._unranked.items():
            pipe.zrem(key, *members)
        for key, ranked in self._ranked.items():
            pipe.zadd(key, ranked)
        for key, ids in self._left.items():
            pipe.srem(key, *ids)
        for key, ids in self._joined.items():
            pipe.sadd(key, *ids)
        for group, values in self.totals.items():
            key = self._keys.totals(group)
            kept = {value: one for value, one in values.items() if one.accounts}
            gone = [value for value in values if value not in kept]
            by_revenue = self._keys.ranked(Dimension(group)) if group in RANKED_DIMENSIONS else None
            if kept:
                pipe.hset(key, mapping={value: one.packed() for value, one in kept.items()})
            if gone:
                pipe.hdel(key, *gone)
            if kept and by_revenue is not None:
                # The largest first: those of equal revenue are then in the order of their names.
                pipe.zadd(by_revenue, {value: -one.revenue for value, one in kept.items()})
            if gone and by_revenue is not None:
                pipe.zrem(by_revenue, *gone)

    def done(self) -> None:
        """Take the totals over, once the commands were carried out."""
        for group, values in self.totals.items():
            held = self._before.setdefault(group, {})
            held |= values
            for value in [value for value, one in values.items() if not one.accounts]:
                del held[value]

    def values(self, group: str) -> Mapping[str, Total]:
        """Give what a group counts, with what the batch changes."""
        return ChainMap(self.totals.get(group, {}), self._before.get(group, {}))

    def total(self, group: str, value: str) -> Total:
        """Give a total as it is after the batch, to be changed."""
        changed = self.totals[group]
        if value not in changed:
            changed[value] = self._before.get(group, {}).get(value, Total()).copy()
        return changed[value]


def _ranks(keys: Keys, entry: Entry | None) -> set[tuple[str, bytes]]:
    """Give the ordered sets in which an account is, each with its member."""
    if entry is None:
        return set()
    return {(keys.order(sort, entry.cell), member) for sort, member in entry.orders}
