"""Due days: which accounts time reaches next, in an order that depends on their ids alone.

Within a day accounts come by slot, a hash of their id, and then by id: a part of a day's accounts is put in order
without sorting all of them. They are dealt into slots when their day has come, since most leave a day before it comes.
"""

import zlib
from collections.abc import Iterable
from typing import Final

_SLOTS: Final = 256


class DueDays:
    """The due day of each account of a partition that has one."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[str]] = {}
        # Of days that have come: what stands here does not stand above.
        self._slots: dict[int, dict[int, set[str]]] = {}

    def add(self, account_id: str, day: int | None) -> None:
        """Note the due day of an account that has none here; None is no day."""
        if day is not None:
            accounts = self._waiting.get(day)
            if accounts is None:
                accounts = self._waiting[day] = set()
            accounts.add(account_id)

    def add_all(self, day: int, account_ids: Iterable[str]) -> None:
        """Note the due day of accounts that have none here."""
        self._waiting.setdefault(day, set()).update(account_ids)

    def remove(self, account_id: str, day: int | None) -> None:
        """Forget the due day of an account."""
        if day is None:
            return
        accounts = self._waiting.get(day)
        if accounts is not None and account_id in accounts:
            accounts.discard(account_id)
            if not accounts:
                del self._waiting[day]
        elif (slots := self._slots.get(day)) is not None:
            self._remove_dealt(account_id, day, slots)

    def has_come(self, today: int) -> bool:
        """Tell whether any account is due by a day."""
        return any(day <= today for day in self._waiting) or any(day <= today for day in self._slots)

    def count(self, today: int) -> int:
        """Count the accounts that are due by a day."""
        waiting = sum(len(accounts) for day, accounts in self._waiting.items() if day <= today)
        dealt = sum(len(one) for day, slots in self._slots.items() if day <= today for one in slots.values())
        return waiting + dealt

    def deal(self, today: int, limit: int) -> bool:
        """Deal at most `limit` accounts that are due by a day into slots; False if some are left.

        `first` does what is left, at once: whoever must not be held up for so long calls this before.
        """
        for day in sorted(day for day in self._waiting if day <= today):
            accounts, slots = self._waiting[day], self._slots.setdefault(day, {})
            while accounts and limit > 0:
                account_id = accounts.pop()
                slots.setdefault(zlib.crc32(account_id.encode()) % _SLOTS, set()).add(account_id)
                limit -= 1
            if accounts:
                return False
            del self._waiting[day]
        return True

    def first(self, today: int, limit: int) -> list[str]:
        """Give the accounts that are due by a day, at most `limit`: the earliest day first, then by slot and id."""
        self.deal(today, self.count(today))
        chosen: list[str] = []
        for day in sorted(day for day in self._slots if day <= today):
            slots = self._slots[day]
            for slot in sorted(slots):
                chosen += sorted(slots[slot])[: limit - len(chosen)]
                if len(chosen) >= limit:
                    return chosen
        return chosen

    def _remove_dealt(self, account_id: str, day: int, slots: dict[int, set[str]]) -> None:
        slot = zlib.crc32(account_id.encode()) % _SLOTS
        if (accounts := slots.get(slot)) is None:
            return
        accounts.discard(account_id)
        if not accounts:
            del slots[slot]
            if not slots:
                del self._slots[day]
