"""The accounts as a Faust table: a view of the partition tasks, for whoever holds the app."""

from collections.abc import Iterator
from typing import Any

from faust import Table
from faust.tables import TableManager

from models.state import AccountState
from stream.engine import Engine


class AccountsTable(Table[str, AccountState]):
    """Reads accounts of this worker by id.

    Its partitions live in the tasks: written by the core, logged and restored by the engine, so that Faust's recovery
    has nothing to do for it. Writing to it is an error.
    """

    def __init__(self, *args: Any, engine: Engine, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine = engine

    def __getitem__(self, account_id: str) -> AccountState:
        state = self._engine.account(account_id)
        if state is None:
            raise KeyError(account_id)
        return state

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.account_ids())

    def __len__(self) -> int:
        return len(self._engine.account_ids())

    def __contains__(self, account_id: object) -> bool:
        return isinstance(account_id, str) and self._engine.account(account_id) is not None

    def __setitem__(self, account_id: str, value: AccountState) -> None:
        raise TypeError("accounts change by events only")

    def __delitem__(self, account_id: str) -> None:
        raise TypeError("accounts change by events only")


class Tables(TableManager):
    """Starts at once: Faust's own waits for a second in which further tables may be declared."""

    async def on_start(self) -> None:
        """Start the table, and what would recover it."""
        await self._update_channels()
        await self.recovery.start()
