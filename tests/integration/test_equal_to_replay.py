"""A worker over Kafka and a replay of files come to the same result, value by value."""

from tests.support.deployment import Deploy, History, differences, gaps


def test_online_retail_comes_out_as_its_replay(online_retail: History, deploy: Deploy) -> None:
    """A real year of orders and refunds gives the tier changes, churn events and snapshots of its replay."""
    deployment = deploy()
    deployment.produce(online_retail.path, "--end-of-input")
    worker = deployment.worker().start()

    deployment.wait_settled(worker)

    published = deployment.published()
    assert differences(online_retail.replayed, published) == []
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []
    assert len(published.snapshots) == len(online_retail.replayed.snapshots) > 4000
