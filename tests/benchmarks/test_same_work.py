"""The checks that hold contenders to the same work, on a small input and without Kafka."""

import random
import struct
from typing import Final

from benchmarks import checks
from benchmarks.checks import History
from benchmarks.contenders import job
from benchmarks.orders import Dataset, generate
from models.codec import pack
from models.events import ClockAdvanced, InputTopic
from models.policy import Policy
from models.wire import Refusal, parse
from processors.context import DAY_MS, Context
from processors.partition import Partition

DATASET: Final = Dataset(accounts=40, orders=2000, last_day=20_000)


def test_our_core_counts_what_the_peers_count() -> None:
    """The 365-day windows of every account are equal, to the cent."""
    accounts = Partition(Context(Policy(reporting_currency="EUR")))
    for record in generate(DATASET):
        event = parse(InputTopic.ORDERS, record.account_id.encode(), record.value.encode())
        assert not isinstance(event, Refusal | ClockAdvanced)
        accounts.apply(event, (DATASET.last_day + 1) * DAY_MS)
    states = [accounts.get(account_id) for account_id in {record.account_id for record in generate(DATASET)}]
    histories = [checks.read_our_state(b"key", pack(state)) for state in states if state is not None]

    found = checks.windows_checksum((one for one in histories if one is not None), DATASET.as_of_day)

    assert found == checks.expected(DATASET)[:3]


def test_the_java_peers_state_is_read() -> None:
    """Head and rows as State.java packs them."""
    head = struct.pack(">ici9q3i", 3, b"B", 2, *range(9), 0, 0, 0)
    rows = struct.pack(">iqiq", 100, 5000, 2, 2500) + struct.pack(">iqiq", 101, 70, 1, -30)

    assert checks.read_java_state(b"C1", head + rows) == History("C1", [100, 101], [2, 1], [5000, 70], [2500, -30])


def test_a_key_may_have_something_around_it() -> None:
    """Quix Streams puts the name of the value behind the key."""
    packed = job.encode_state(job.State())

    assert checks.read_python_state(b'C1|"state"', packed).account_id == "C1"
    assert checks.read_python_state(b"C1", packed).account_id == "C1"


def test_checksums_do_not_depend_on_the_order() -> None:
    """Partitions are read in any order."""
    histories = [History(f"C{n}", [10], [n], [n * 100], [n]) for n in range(50)]
    shuffled = random.Random(1).sample(histories, len(histories))

    assert checks.windows_checksum(histories, 10) == checks.windows_checksum(shuffled, 10)


def test_one_cent_changes_the_checksum() -> None:
    """A wrong sum of one account is enough."""
    right = [History("C1", [10], [1], [100], [10]), History("C2", [10], [1], [100], [10])]
    wrong = [right[0], right[1]._replace(revenue_minor=[101])]

    assert checks.windows_checksum(right, 10)[0] != checks.windows_checksum(wrong, 10)[0]


def test_a_repeated_change_changes_the_checksum() -> None:
    """Twice the same must not cancel out."""
    change = job.Change("C1", 1, "D", "C", "2024-01-01T00:00:00Z", 1)

    once, twice, thrice = (checks.changes_checksum([change] * times) for times in (1, 2, 3))

    assert len({once[0], twice[0], thrice[0]}) == 3


def test_the_orders_are_the_same_each_time() -> None:
    """Seed and last day decide everything."""
    assert list(generate(DATASET)) == list(generate(DATASET))
    assert list(generate(DATASET)) != list(generate(DATASET._replace(seed=2)))


def test_fewer_accounts_keep_their_histories() -> None:
    """A slow contender's input is the whole one without the other accounts."""
    fewer = DATASET._replace(every=4)

    assert list(generate(fewer)) == [one for one in generate(DATASET) if int(one.account_id[1:]) % 4 == 0]


def test_a_replayed_input_carries_the_time_of_its_orders() -> None:
    """Its timestamps span the 400 days and never go back."""
    stamps = [one.timestamp_ms for one in generate(DATASET._replace(replayed=True))]

    assert stamps == sorted(stamps)
    assert (stamps[-1] - stamps[0]) // DAY_MS == 399
