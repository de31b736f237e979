"""A broker that is killed and comes back, or refuses what it should take."""

import json
from pathlib import Path
from typing import Final

from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from stream.topics import OUTPUT_RECORD_BYTES_MAX
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment, History, differences, gaps
from tests.support.polling import eventually
from tests.support.topics import StateView, quiet_admin
from tests.support.worker import WorkerProcess

_SMALL_TRANSACTIONS: Final = {"batch_records": "50", "commit_interval_ms": "50"}


def test_a_broker_that_is_killed_and_restarted_costs_nothing(online_retail: History, tmp_path: Path) -> None:
    """A worker goes on when the broker is back, or ends with an error and goes on when it is started again."""
    history = online_retail.part(4, tmp_path)
    with (
        KafkaBroker(tmp_path / "kafka") as broker,
        Deployment(broker.bootstrap_servers, tmp_path, **_SMALL_TRANSACTIONS, log_format="json") as deployment,
    ):
        deployment.create_topics()
        deployment.produce(history.path, "--end-of-input")
        worker = deployment.worker().start()
        processed, sent = _wait_busy(deployment)
        broker.kill()
        broker.start()
        _wait_settled_or_ended(deployment, worker)

        assert processed < sent, "the work was done before the broker was killed"
        published = deployment.published()
        assert differences(history.replayed, published) == ""
        assert gaps(published.tier_changes) == gaps(published.churn_events) == []
        # what Kafka's client has to say in an outage goes through the worker's own log
        lines = [json.loads(line) for line in worker.log_file.read_text().splitlines()]
        assert any(line["logger"] == "librdkafka" for line in lines)


def test_a_transaction_that_the_broker_does_not_take_is_done_again(
    online_retail: History, deploy: Deploy, tmp_path: Path
) -> None:
    """When one output is refused for a while, the same worker goes back to its last commit and on from there."""
    history = online_retail.part(4, tmp_path)
    # the broker is mended before the next commit, which finds that a record was refused
    deployment = deploy(batch_records="50", commit_interval_ms="1000", transaction_timeout_ms="10000")
    deployment.produce(history.path, "--end-of-input")
    _limit_records(deployment, 100)
    worker = deployment.worker().start()
    eventually(lambda: "Current transaction failed" in worker.log, "a record is refused")
    _limit_records(deployment, OUTPUT_RECORD_BYTES_MAX)
    deployment.wait_settled(worker)

    assert "transaction aborted" in worker.log
    assert worker.metrics()["account_health_transactions_total", frozenset({("result", "aborted")})] >= 1
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def _limit_records(deployment: Deployment, bytes_max: int) -> None:
    """Let the broker take tier changes up to a size."""
    change = ConfigEntry("max.message.bytes", str(bytes_max), incremental_operation=AlterConfigOpType.SET)
    name = deployment.settings.topics.tier_changes
    topic = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[change])
    admin = quiet_admin(deployment.settings)
    admin.incremental_alter_configs([topic])[topic].result(30)


def _wait_busy(deployment: Deployment) -> tuple[int, int]:
    """Wait until a quarter is processed; return how much was, and how much there is."""
    # a view of its own: its client would have seen the broker die
    view = StateView(deployment.settings)
    try:
        sent = view.sent()

        def busy() -> bool:
            view.update()
            return view.processed() > sent // 4

        eventually(busy, "a quarter is processed", timeout_s=60, interval_s=0)
        return view.processed(), sent
    finally:
        view.close()


def _wait_settled_or_ended(deployment: Deployment, worker: WorkerProcess) -> None:
    """Wait until all is processed; a worker that has ended with an error is started again, as a supervisor would."""

    def settled() -> bool:
        if not worker.running:
            assert worker.wait(0) != 0, "the worker ended as if it had been asked to"
            worker.start()
        return deployment.view.is_settled()

    eventually(settled, "all input is processed", timeout_s=120, interval_s=0.2)
