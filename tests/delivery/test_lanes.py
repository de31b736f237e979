"""The delivery as a process, on a real broker, to real HTTP servers."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from standardwebhooks import Webhook

from tests.delivery.destination import Destination, Received, Reply
from tests.delivery.stand import SECRET, Stand, event, webhook
from tests.support.polling import eventually
from tests.support.worker import run_command

Serve = Callable[..., Destination]
ACCOUNTS = [f"A-{number}" for number in range(8)]
QUIET_SECONDS = 2.0
"""In which a destination that is well has an event, whatever others do."""


def ids(received: Iterable[Received]) -> list[str]:
    """Return the ids of requests, each with a signature that is right."""
    found = []
    for one in received:
        Webhook(SECRET).verify(one.body, dict(one.headers))
        found.append(one.headers["webhook-id"])
    return found


def orders(received: Iterable[Received]) -> dict[str, list[int]]:
    """Return each account's sequence numbers in the order in which they came, repetitions left out."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for one in received:
        number = int(one.content["sequence"])
        if number not in found[one.content["subject"]]:
            found[one.content["subject"]].append(number)
    return dict(found)


def failures(stand: Stand, destination: str) -> list[dict[str, Any]]:
    """Return what waits for a redrive, as the command tells."""
    told = run_command(stand.variables, "deliveries", "list", "--json", "--destination", destination)
    return [json.loads(line) for line in told.splitlines()]


def test_a_destination_that_hangs_delays_no_other_and_has_all_after_a_redrive(stand: Stand, serve: Serve) -> None:
    """The others keep their latency; after the redrive each event was delivered, in order for each account."""
    well, hanging = serve(), serve(lambda _: Reply(hang=True))
    stand.write({"well": webhook(well.url), "hanging": webhook(hanging.url, give_up_seconds=1)})
    process = stand.process().start().wait_ready()
    for sequence in (1, 2, 3):
        before = len(well.received)
        stand.publish(*(event(account, sequence) for account in ACCOUNTS))
        eventually(
            lambda before=before: len(well.received) == before + len(ACCOUNTS),  # type: ignore[misc]  # bound now
            "the one that is well has them",
            timeout_s=QUIET_SECONDS,
        )

    # While an account waits for the redrive, its later events stay behind.
    stand.publish(event(ACCOUNTS[0], 4))
    eventually(lambda: len(failures(stand, "hanging")) == len(ACCOUNTS) * 3 + 1, "all are given up")
    hanging.answering = lambda _: Reply()
    hanging.release()
    hanging.received.clear()
    told = run_command(stand.variables, "deliveries", "redrive", "--destination", "hanging")

    expected = {account: [1, 2, 3] for account in ACCOUNTS} | {ACCOUNTS[0]: [1, 2, 3, 4]}
    assert told == "25 delivered\n"
    assert orders(hanging.received) == orders(well.received) == expected
    assert len(set(ids(hanging.received))) == len(hanging.received) == 25
    assert failures(stand, "hanging") == []
    # The accounts are free again.
    stand.publish(event(ACCOUNTS[0], 5))
    eventually(lambda: orders(hanging.received)[ACCOUNTS[0]][-1] == 5, "what comes now is delivered at once")
    assert process.running
