"""What time and snapshots get of the event loop."""

import asyncio

from models.codec import pack
from models.events import InputTopic
from models.policy import Policy
from models.state import AccountState
from processors.context import Context
from processors.partition import Partition
from stream.handling import Place
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings
from stream.slices import Slices
from stream.task import PartitionTask

ACCOUNTS = 200


def _task() -> PartitionTask:
    """Give a task whose accounts all have a snapshot to publish."""
    context = Context(Policy(reporting_currency="EUR"))
    accounts = Partition(context)
    for number in range(ACCOUNTS):
        state = AccountState(f"A-{number}", revision=1, configuration=context.configuration)
        accounts.restore(state.account_id, pack(state))
    settings = Settings(reporting_currency="EUR", clock="event")
    restored = Restored(accounts, dict.fromkeys(InputTopic, 0), context.configuration, 0, 0.0)
    return PartitionTask(Place(0, 1, dict.fromkeys(InputTopic, "id")), restored, settings, lambda: 1)


def _published(*, busy: bool) -> int:
    task, slices, produced = _task(), Slices(), list[OutRecord]()
    task.busy = busy
    asyncio.run(slices.give_way([task]))

    more = slices.work(task, produced.append)

    assert more
    return len(produced)


def test_snapshots_get_little_time_while_records_wait() -> None:
    """A fifth of what they get otherwise; nobody waits for them as for a change, and later ones say more."""
    assert _published(busy=True) * 5 == _published(busy=False) == 50
