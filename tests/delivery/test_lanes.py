"""The delivery as a process, on a real broker, to real HTTP servers."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from standardwebhooks import Webhook
from typer.testing import CliRunner

from stream.cli import app
from tests.delivery.destination import Destination, Received, Reply
from tests.delivery.stand import PATIENT_S, SECRET, TIMEOUT_S, Stand, event, webhook
from tests.support.polling import eventually
from tests.support.worker import WorkerProcess, run_command, started_command

Serve = Callable[..., Destination]
ACCOUNTS = [f"A-{number}" for number in range(8)]
UNDISTURBED_S = PATIENT_S / 2
"""In which a destination that is well has an event: who waited for one that hangs would not have it."""


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
    told = _command(stand, "list", "--json", "--destination", destination)
    return [json.loads(line) for line in told.splitlines()]


def _command(stand: Stand, *arguments: str, code: int = 0) -> str:
    """Run a command of `account-health deliveries` in this process."""
    done = CliRunner().invoke(app, ["deliveries", *arguments], env=stand.variables)
    assert done.exit_code == code, done.output
    return done.output


def _redrive(stand: Stand, destination: str, *options: str, code: int = 0) -> str:
    return _command(stand, "redrive", "--destination", destination, *options, code=code)


def test_a_destination_that_hangs_delays_no_other_and_has_all_after_a_redrive(stand: Stand, serve: Serve) -> None:
    """The others keep their latency; after the redrive each event was delivered, in order for each account."""
    well, hanging = serve(), serve(lambda _: Reply(hang=True))
    stand.write({"well": webhook(well.url), "hanging": webhook(hanging.url, give_up_seconds=1)})
    process = stand.process().start().wait_ready()
    # What was never committed is delivered to nobody.
    stand.publish(*(event(account, 99) for account in ACCOUNTS), abort=True)
    for sequence in (1, 2, 3):
        before = len(well.received)
        stand.publish(*(event(account, sequence) for account in ACCOUNTS))
        eventually(
            lambda before=before: len(well.received) == before + len(ACCOUNTS),  # type: ignore[misc]  # bound now
            "the one that is well has them",
            timeout_s=UNDISTURBED_S,
        )

    assert failures(stand, "hanging") == []
    # While an account waits for the redrive, its later events stay behind.
    hanging.answering = lambda _: Reply(503)
    hanging.release()
    stand.publish(event(ACCOUNTS[0], 4))
    eventually(lambda: len(failures(stand, "hanging")) == len(ACCOUNTS) * 3 + 1, "all are given up")
    hanging.answering = lambda _: Reply()
    hanging.received.clear()
    told = _redrive(stand, "hanging")

    expected = {account: [1, 2, 3] for account in ACCOUNTS} | {ACCOUNTS[0]: [1, 2, 3, 4]}
    assert told == "25 delivered\n"
    assert orders(hanging.received) == orders(well.received) == expected
    assert len(set(ids(hanging.received))) == len(hanging.received) == 25
    assert failures(stand, "hanging") == []
    # The accounts are free again.
    stand.publish(event(ACCOUNTS[0], 5))
    eventually(lambda: orders(hanging.received)[ACCOUNTS[0]][-1] == 5, "what comes now is delivered at once")
    assert process.running


def test_a_process_that_is_killed_delivers_all_in_order(stand: Stand, serve: Serve) -> None:
    """Killed in the middle, again and again: each event at least once, each account's in order, under the same ids."""
    server = serve(_slowly)
    stand.write({"hooks": webhook(server.url, parallel_accounts=2)})
    process = stand.process()
    events = [event(account, sequence) for sequence in range(1, 11) for account in ACCOUNTS]
    stand.publish(*events)

    for share in (0.2, 0.4, 0.6):
        process.start()
        eventually(
            lambda share=share: len(set(ids(server.received))) > share * len(events),  # type: ignore[misc]  # bound now
            "a part is delivered",
            timeout_s=TIMEOUT_S,
        )
        process.kill()
    process.start()
    eventually(lambda: len(set(ids(server.received))) == len(events), "all are delivered", timeout_s=TIMEOUT_S)

    assert orders(server.received) == {account: list(range(1, 11)) for account in ACCOUNTS}
    assert failures(stand, "hooks") == []
    assert process.terminate() == 0
    # All is committed: another start delivers nothing more.
    count = len(server.received)
    process.start().wait_ready()
    stand.publish(event("LAST", 1))
    eventually(lambda: "LAST" in orders(server.received), "what is new is delivered")
    assert len(server.received) == count + 1


def _slowly(_: Received) -> Reply:
    # The destination's own slowness, so that a kill finds deliveries on their way; no test waits by it.
    time.sleep(0.01)
    return Reply()


def test_a_destination_is_left_alone_for_as_long_as_it_asks(stand: Stand, serve: Serve) -> None:
    """After a 429 no account's event is sent before the time, and then each is, once."""
    asked: list[float] = []

    def answer(received: Received) -> Reply:
        if not asked:
            asked.append(received.at)
            return Reply(429, {"Retry-After": "2"})
        return Reply()

    server = serve(answer)
    stand.write({"hooks": webhook(server.url, parallel_accounts=1)})
    stand.process().start()
    stand.publish(*(event(account, 1) for account in ACCOUNTS))
    eventually(lambda: len(server.received) == len(ACCOUNTS) + 1, "all are delivered", timeout_s=TIMEOUT_S)

    first, *others = server.received
    assert min(one.at for one in others) - first.at >= 1.9
    assert len(set(ids(others))) == len(ACCOUNTS)
    assert first.headers["webhook-id"] in ids(others)
    (again,) = [one for one in others if one.headers["webhook-id"] == first.headers["webhook-id"]]
    assert again.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]
    assert again.headers["webhook-signature"] != first.headers["webhook-signature"]


def test_an_event_that_is_refused_holds_back_its_account_only(stand: Stand, serve: Serve) -> None:
    """It fails at once or after its attempts, later ones of the account wait behind it, a redrive keeps the order."""
    refused = {"A-0": 422, "A-1": 500}
    server = serve(lambda received: Reply(refused.get(received.content["subject"], 204)))
    stand.write({"hooks": webhook(server.url, attempts_max=3)})
    process = stand.process().start().wait_ready()
    # The others go on meanwhile, which shows that the event is to blame and not the destination.
    for sequence in (1, 2):
        stand.publish(*(event(account, sequence) for account in ACCOUNTS))

    def fed() -> bool:
        stand.publish(event("A-7", 3 + len(server.received)))
        return len(failures(stand, "hooks")) == 4

    eventually(fed, "the two accounts wait", timeout_s=TIMEOUT_S)
    found = failures(stand, "hooks")
    by_account = Counter(one["reason"] for one in found)
    assert by_account == {"rejected": 1, "failing": 1, "held_back": 2}
    (rejected,) = [one for one in found if one["reason"] == "rejected"]
    (failing,) = [one for one in found if one["reason"] == "failing"]
    assert (rejected["status"], rejected["attempts"]) == (422, 1)
    assert failing["status"] == 500
    assert failing["attempts"] >= 3
    assert orders(server.received)["A-2"] == [1, 2]
    waiting = eventually(lambda: _gauge(process, "delivery_waiting_accounts"), "the metric tells")
    assert waiting == 2

    # One cause is mended, the other is not.
    del refused["A-1"]
    server.received.clear()
    told = _redrive(stand, "hooks", code=1)
    assert "2 delivered" in told
    assert "1 failed again: rejected" in told
    assert "1 left" in told
    assert orders(server.received)["A-1"] == [1, 2]
    # What will never be taken is discarded; those behind it go.
    refused.clear()
    assert _redrive(stand, "hooks", "--discard", "rejected", "--dry-run").splitlines() == [
        "1 held_back would be delivered",
        "1 rejected would be discarded",
    ]
    assert _redrive(stand, "hooks", "--discard", "rejected") == "1 delivered\n1 discarded\n"
    assert orders(server.received)["A-0"] == [1, 2]  # the first when it failed again, the second now
    assert _redrive(stand, "hooks") == "nothing to deliver\n"
    stand.publish(event("A-0", 3))
    eventually(lambda: orders(server.received)["A-0"] == [1, 2, 3], "the account is free again")


def _gauge(process: WorkerProcess, name: str, destination: str = "hooks") -> float:
    return process.metrics()[f"account_health_{name}", frozenset({"destination": destination}.items())]


def test_an_erased_account_is_not_told_of(stand: Stand, serve: Serve) -> None:
    """Neither what waits for its next attempt nor what is read later is sent, but its new incarnation's events are."""
    server = serve(lambda received: Reply(503 if received.content["subject"] == "GONE" else 204))
    stand.write({"hooks": webhook(server.url)})
    process = stand.process().start().wait_ready()
    stand.publish(event("GONE", 1), event("GONE", 2), event("OTHER", 1))
    eventually(lambda: "GONE" in orders(server.received), "an attempt was made")

    stand.erase("GONE")
    disposals = ("account_health_deliveries_total", {"destination": "hooks", "disposal": "erased"})
    key = disposals[0], frozenset(disposals[1].items())
    eventually(lambda: process.metrics()[key] == 2, "both are dropped", timeout_s=TIMEOUT_S)
    server.answering = lambda _: Reply()
    server.received.clear()
    stand.publish(event("GONE", 3), event("GONE", 1, incarnation=1), event("OTHER", 2))
    eventually(lambda: len(server.received) == 2, "the others are delivered")

    assert {one.headers["webhook-id"] for one in server.received} == {"GONE/1/churn/1", "OTHER/0/churn/2"}
    # A process that starts later knows it too.
    process.terminate()
    stand.publish(event("GONE", 4), event("OTHER", 3))
    process.start()
    eventually(lambda: "OTHER/0/churn/3" in ids(server.received), "what is new is delivered")
    assert "GONE/0/churn/4" not in ids(server.received)


def test_a_redrive_drops_what_was_erased_and_lets_no_other_run(stand: Stand, serve: Serve) -> None:
    """An erased account's failures are settled untold; a second redrive is refused while the first one runs."""
    server = serve(lambda _: Reply(400))
    stand.write({"hooks": webhook(server.url)})
    process = stand.process().start()
    stand.publish(event("GONE", 1), event("OTHER", 1))
    eventually(lambda: len(failures(stand, "hooks")) == 2, "both have failed", timeout_s=TIMEOUT_S)
    stand.erase("GONE")
    server.received.clear()
    server.answering = lambda _: Reply(hang=True)

    with started_command(stand.variables, "deliveries", "redrive", "--destination", "hooks") as first:
        eventually(lambda: len(server.received) == 1, "the first one delivers", timeout_s=TIMEOUT_S)
        assert "another redrive of hooks is running" in _redrive(stand, "hooks", code=1)
        server.answering = lambda _: Reply()
        server.release()
        first.wait(TIMEOUT_S)

    assert {one.content["subject"] for one in server.received} == {"OTHER"}
    assert failures(stand, "hooks") == []
    assert process.running


def test_a_lane_sends_what_its_destination_asks_for(stand: Stand, serve: Serve) -> None:
    """An event of another type is passed over, and committed; a destination that is new is sent what is kept."""
    every, none = serve(), serve()
    stand.write({"every": webhook(every.url)})
    stand.publish(event("A", 1))
    process = stand.process().start()
    eventually(lambda: len(every.received) == 1, "it is delivered", timeout_s=TIMEOUT_S)
    process.terminate()

    stand.write(
        {
            "every": webhook(every.url),
            "tiers": webhook(none.url, events=["account.tier_changed"]),
            "late": webhook(none.url),
        }
    )
    process.start().wait_ready()
    stand.publish(event("A", 2))
    eventually(lambda: len(every.received) == len(none.received) == 2, "both are delivered")

    assert orders(every.received) == orders(none.received) == {"A": [1, 2]}
    key = frozenset({"destination": "tiers", "disposal": "unwanted"}.items())
    eventually(lambda: process.metrics()["account_health_deliveries_total", key] == 2, "the third has passed them over")


def test_probes_tell_of_the_process_and_metrics_of_its_destinations(stand: Stand, serve: Serve) -> None:
    """A destination that is down makes the process neither unready nor unhealthy; its lag and its attempts tell."""
    server = serve(lambda _: Reply(503))
    stand.write({"hooks": webhook(server.url)})
    process = stand.process().start().wait_ready()
    stand.publish(*(event(account, 1) for account in ACCOUNTS))

    eventually(lambda: _gauge(process, "delivery_open_records") == len(ACCOUNTS), "all are open")
    eventually(
        lambda: _gauge(process, "delivery_lag_records") == len(ACCOUNTS), "the lag is known", timeout_s=TIMEOUT_S
    )
    eventually(lambda: _gauge(process, "delivery_lag_seconds") > 1, "they grow old")
    assert process.ask("/healthz")[0] == 200
    assert process.ask("/readyz")[0] == 200
    key = frozenset({"destination": "hooks", "outcome": "failing"}.items())
    assert process.metrics()["account_health_delivery_attempts_total", key] >= len(ACCOUNTS)
    server.answering = lambda _: Reply()
    eventually(lambda: _gauge(process, "delivery_lag_records") == 0, "nothing is left", timeout_s=TIMEOUT_S)
    assert failures(stand, "hooks") == []


def test_processes_share_what_there_is(stand: Stand, serve: Serve) -> None:
    """A second process takes partitions over, and when one is killed the other takes all; order and ids stay."""
    server = serve(_slowly)
    stand.write({"hooks": webhook(server.url, parallel_accounts=1)})
    first, second = stand.process("deliver-0"), stand.process("deliver-1")
    events = [event(account, sequence) for sequence in range(1, 31) for account in ACCOUNTS]
    first.start().wait_ready()
    stand.publish(*events)
    eventually(lambda: len(server.received) > len(events) // 8, "the first one delivers", timeout_s=TIMEOUT_S)
    # Slower still: it must not be done before the second one is there.
    server.answering = lambda _: Reply(200, body=b"ok", drip_seconds=0.1)
    second.start()
    done = "account_health_deliveries_total", frozenset({"destination": "hooks", "disposal": "delivered"}.items())
    eventually(lambda: second.ask("/readyz")[0] == 200 and second.metrics()[done] > 0, "both do", timeout_s=TIMEOUT_S)
    server.answering = _slowly
    first.kill()
    eventually(lambda: len(set(ids(server.received))) == len(events), "all are delivered", timeout_s=TIMEOUT_S)

    assert orders(server.received) == {account: list(range(1, 31)) for account in ACCOUNTS}


def test_the_log_names_places_and_nothing_that_events_hold(stand: Stand, serve: Serve) -> None:
    """A line for each event that is done with, without account, body, secret or address."""
    server = serve(lambda received: Reply(400 if "2" in received.content["sequence"] else 204))
    stand.write({"hooks": webhook(f"{server.url}/path-secret")})
    process = stand.process(log_format="json", log_level="debug").start()
    stand.publish(event("NAMED-ACCOUNT", 1), event("NAMED-ACCOUNT", 2))
    eventually(lambda: "failed: rejected" in process.log, "both are done with", timeout_s=TIMEOUT_S)

    lines = [json.loads(line) for line in process.log.splitlines() if '"stream.delivery.log"' in line]
    assert [one["message"].split(":")[0] for one in lines] == ["delivered", "failed"]
    assert all(one["destination"] == "hooks" and one["offset"] is not None for one in lines)
    for hidden in ("NAMED-ACCOUNT", "1200.50", "path-secret", SECRET.removeprefix("whsec_")):
        assert hidden not in process.log


def test_the_latest_events_are_shown_and_not_sent(stand: Stand, serve: Serve) -> None:
    """`--dry-run` prints the request of the latest event in Kafka, without a secret, and sends none."""
    server = serve()
    token = {"env": "TEST_SECRET"}
    stand.write({"hooks": webhook(server.url), "crm": {"preset": "hubspot", "token": token, "base_url": server.url}})
    stand.publish(event("A", 1), event("A", 2))

    told = run_command(stand.variables, "deliver", "--dry-run")

    assert f"POST {server.url}/crm/objects/2026-03/companies/batch/update" in told
    assert "webhook-id: A/0/churn/2" in told
    assert "authorization: (secret)" in told
    assert SECRET.removeprefix("whsec_") not in told
    assert server.received == []


def test_a_process_without_its_topics_says_what_makes_them(stand: Stand) -> None:
    """It ends non-zero, with the command on its last line."""
    stand.write({"hooks": webhook("http://127.0.0.1:1")})
    process = stand.process(topic_prefix="nothing.").start()

    assert process.wait(TIMEOUT_S) == 1
    assert "account-health topics create" in process.log.splitlines()[-1]
