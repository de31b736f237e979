"""What subscribers see of an event besides what it says: its attributes, its trigger, its schema."""

import json
from pathlib import Path
from typing import Final

from confluent_kafka import Message
from pydantic import BaseModel

from models.outputs import AccountLost, AccountRecovered, ChurnRiskChanged, TierChanged
from models.snapshots import Snapshot
from tests.support.deployment import Deploy, Deployment, History
from tests.support.topics import headers_of, read_topic, text_of

ATTRIBUTES: Final = {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type"}
TRIGGER: Final = {"ce_triggertopic", "ce_triggerpartition", "ce_triggeroffset"}
MODELS: Final[dict[str, type[BaseModel]]] = {
    "account.tier_changed": TierChanged,
    "account.churn_risk_changed": ChurnRiskChanged,
    "account.lost": AccountLost,
    "account.recovered": AccountRecovered,
    "account.snapshot": Snapshot,
}


def test_events_carry_their_attributes_and_two_runs_give_them_the_same_ids(
    online_retail: History, deploy: Deploy, tmp_path: Path
) -> None:
    """Two applications that cut the same input differently publish the same events under the same ids."""
    history = online_retail.part(20, tmp_path)
    deployments = [deploy(), deploy(batch_records="7", commit_interval_ms="20", partitions="3")]
    for deployment in deployments:
        deployment.produce(history.path, "--end-of-input")
        deployment.worker(f"worker-of-{deployment.settings.application_id}").start()
    for deployment in deployments:
        deployment.wait_settled()

    first, second = (_events(deployment) for deployment in deployments)

    assert {name: text_of(one) for name, one in first.items()} == {name: text_of(one) for name, one in second.items()}
    assert len(first) == sum(len(one) for kind in history.replayed[:2] for one in kind.values()) > 300
    for deployment, events in zip(deployments, (first, second), strict=True):
        _check_triggers(deployment, events)
        for message in events.values():
            _check_attributes(deployment, message)
        for message in read_topic(deployment.settings, deployment.settings.topics.snapshots):
            _check_attributes(deployment, message)


def _events(deployment: Deployment) -> dict[str, Message]:
    """Return tier changes and churn events by their ids, none of which is there twice."""
    names = deployment.settings.topics
    messages = [one for name in (names.tier_changes, names.churn_risk) for one in read_topic(deployment.settings, name)]
    found = {headers_of(one)["ce_id"]: one for one in messages}
    assert len(found) == len(messages)
    return found


def _check_attributes(deployment: Deployment, message: Message) -> None:
    """Hold a record against CloudEvents 1.0 in binary mode, and its body against its model."""
    headers = headers_of(message)
    assert headers.keys() >= ATTRIBUTES
    body = json.loads(text_of(message))
    account_id = body["account_id"]
    assert (message.key() or b"").decode() == headers["ce_subject"] == account_id
    assert headers["ce_specversion"] == "1.0"
    assert headers["content-type"] == "application/json"
    assert headers["ce_source"] == f"/account-health/{deployment.settings.application_id}"
    model = MODELS[headers["ce_type"]]
    assert model.model_validate_json(text_of(message)).model_dump_json() == text_of(message)
    if model is Snapshot:
        assert headers["ce_id"] == f"{account_id}/0/snapshot/{body['revision']}"
        return
    kind = "tier" if model is TierChanged else "churn"
    assert headers["ce_id"] == f"{account_id}/0/{kind}/{body['sequence']}"
    assert headers["ce_sequence"] == f"{body['sequence']:010}"
    assert headers["ce_sequencetype"] == "Integer"
    assert headers["ce_type"] == body["type"]


def _check_triggers(deployment: Deployment, events: dict[str, Message]) -> None:
    """Follow each event to the record that caused it; one that time caused has none."""
    settings = deployment.settings
    orders = {
        (str(one.topic()), str(one.partition()), str(one.offset())): json.loads(text_of(one))["event_id"]
        for one in read_topic(settings, settings.topics.orders)
    }
    followed = 0
    for message in events.values():
        headers, body = headers_of(message), json.loads(text_of(message))
        if body["trigger_event_id"] is None:
            assert not headers.keys() & TRIGGER, f"{headers['ce_id']} was caused by no record and names one"
            continue
        place = headers["ce_triggertopic"], headers["ce_triggerpartition"], headers["ce_triggeroffset"]
        assert orders[place] == body["trigger_event_id"]
        followed += 1
    assert 0 < followed < len(events)
