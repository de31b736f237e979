"""A customer who asks to be forgotten is forgotten."""

from typing import Any

from models.events import InputTopic
from tests.support.deployment import Deploy, Deployment
from tests.support.sending import send
from tests.support.topics import headers_of, latest, read_topic
from tests.support.worker import WorkerProcess, run_command

GONE, OTHER = "GONE-1", "OTHER-1"
SECRET = "a secret of thirty-two characters"
SECRET_NAME = "ACCOUNT_HEALTH_ERASURE_SECRET"


def test_an_erased_account_is_gone_and_begins_again_with_its_next_order(deploy: Deploy) -> None:
    """Snapshot and state become null, older events count as erased, a newer order begins a new incarnation."""
    deployment = deploy(erasure_secret=SECRET)
    settings, names = deployment.settings, deployment.settings.topics
    worker = deployment.worker().start()
    for account_id in (GONE, OTHER):
        _order(deployment, account_id, "first", "2026-01-05T10:00:00Z")
        _order(deployment, account_id, "second", "2026-02-05T10:00:00Z")
    deployment.wait_settled(worker)
    before = deployment.published()
    assert before.snapshots[GONE] is not None
    assert before.tier_changes[GONE][0]["incarnation"] == 0

    erased = {"type": "account.erased", "event_id": "erase", "account_id": GONE, "occurred_at": "2026-02-10T10:00:00Z"}
    send(settings, InputTopic.PROFILES, erased)
    deployment.wait_settled(worker)
    assert latest(read_topic(settings, names.snapshots))[GONE].value() is None
    assert deployment.view.states[GONE] is None
    assert deployment.view.states[OTHER] is not None

    _order(deployment, GONE, "older", "2026-02-09T10:00:00Z")
    deployment.wait_settled(worker)
    assert deployment.view.states[GONE] is None
    assert _outcomes(worker)["erased"] == 1

    # what is left of the erasure outlives the worker
    assert worker.terminate() == 0
    worker.start()
    _order(deployment, GONE, "oldest", "2026-01-09T10:00:00Z")
    _order(deployment, GONE, "newer", "2026-02-11T10:00:00Z")
    deployment.wait_settled(worker)

    assert _outcomes(worker)["erased"] == 1
    after = deployment.published()
    snapshot = after.snapshots[GONE]
    assert snapshot is not None
    assert snapshot["lifetime"]["orders"] == 1
    (entered,) = after.tier_changes[GONE][len(before.tier_changes[GONE]) :]
    assert (entered["sequence"], entered["incarnation"], entered["direction"]) == (1, 1, "entered")
    ids = [headers_of(one)["ce_id"] for one in read_topic(settings, names.tier_changes) if one.key() == GONE.encode()]
    assert ids[-1] == f"{GONE}/1/tier/1"
    assert len(set(ids)) == len(ids)
    assert after.snapshots[OTHER] == before.snapshots[OTHER]


def test_another_erasure_secret_is_refused_once_an_account_was_erased(deploy: Deploy) -> None:
    """A secret may be set as long as nothing was erased; then a worker with another one, or none, does not open."""
    deployment = deploy(partitions="1")
    worker = deployment.worker()
    _order(deployment, GONE, "first", "2026-01-05T10:00:00Z")
    worker.start()
    deployment.wait_settled(worker)
    assert f"{SECRET_NAME} is not set" in worker.log
    assert worker.terminate() == 0

    worker.start({SECRET_NAME: SECRET})
    erased = {"type": "account.erased", "event_id": "erase", "account_id": GONE, "occurred_at": "2026-02-10T10:00:00Z"}
    send(deployment.settings, InputTopic.PROFILES, erased)
    deployment.wait_settled(worker)
    assert f"{SECRET_NAME} is not set" not in worker.log
    assert worker.terminate() == 0

    for other in ("", "another secret of 32 characters!"):
        worker.start({SECRET_NAME: other})
        assert worker.wait(40.0) == 1
        line = worker.log.splitlines()[-1]
        assert f"{SECRET_NAME} is not the secret that erased accounts are remembered under" in line
        assert "set the former one" in line
        assert "Traceback" not in worker.log

    deployment.variables[SECRET_NAME] = "another secret of 32 characters!"
    assert "accounts were erased under another secret" in run_command(deployment.variables, "audit")


def _order(deployment: Deployment, account_id: str, event_id: str, occurred_at: str) -> None:
    event: dict[str, Any] = {
        "type": "order.completed",
        "event_id": event_id,
        "account_id": account_id,
        "occurred_at": occurred_at,
        "order_id": f"O-{event_id}",
        "amount": "900",
        "currency": "GBP",
    }
    send(deployment.settings, InputTopic.ORDERS, event)


def _outcomes(worker: WorkerProcess) -> dict[str, float]:
    """Count the events of this start by outcome."""
    counts: dict[str, float] = {}
    for (name, labels), value in worker.metrics().items():
        if name == "account_health_events_total":
            outcome = dict(labels)["outcome"]
            counts[outcome] = counts.get(outcome, 0) + value
    return counts
