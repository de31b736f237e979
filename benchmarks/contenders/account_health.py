"""Our worker as it is shipped: the command `account-health worker` on a real broker, doing all that it does.

The default policy and the default settings. It is timed from outside, by the offsets that its transactions commit:
what is not committed does not count.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments

SETTINGS: Final = {
    "ACCOUNT_HEALTH_REPORTING_CURRENCY": "EUR",
    "ACCOUNT_HEALTH_HTTP_PORT": "0",
    "ACCOUNT_HEALTH_LOG_LEVEL": "warning",
}
"""Nothing else is set: the rest is as documented."""
COMMAND: Final = (sys.executable, "-c", "from stream.cli import main; main()", "worker")
_LOOK_SECONDS: Final = 0.05
_TIMEOUT_SECONDS: Final = 30.0
_ORDERS: Final = "orders"


def environment(bootstrap_servers: str, topic_prefix: str, application_id: str) -> dict[str, str]:
    """Give the environment of a worker that starts from nothing."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCOUNT_HEALTH_")},
        **SETTINGS,
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": topic_prefix,
        "ACCOUNT_HEALTH_APPLICATION_ID": application_id,
        "ACCOUNT_HEALTH_INSTANCE_ID": f"{application_id}-0",
    }


class Progress:
    """How many orders a worker has committed."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        partitions = self._admin.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        self._asked = [TopicPartition(topic, partition) for partition in partitions]
        self._group = group

    def committed(self) -> int:
        """Add up the group's committed offsets."""
        futures = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self._group, self._asked)])
        found = futures[self._group].result(_TIMEOUT_SECONDS).topic_partitions
        return sum(max(0, one.offset) for one in found)


def main(task: Task, release: Path | None = None) -> None:
    """Start the worker, watch its commits, and stop it.

    Args:
        task: the run.
        release: the folder whose packages it runs; None for these sources.
    """
    prefix = task.topic.removesuffix(_ORDERS)
    worker = subprocess.Popen(COMMAND, cwd=release, env=environment(task.bootstrap_servers, prefix, task.run))
    try:
        progress = Progress(task.bootstrap_servers, task.topic, task.run)
        watch = Stopwatch(task)
        while not watch.count(progress.committed() - watch.events):
            if worker.poll() is not None:
                raise RuntimeError(f"the worker ended with {worker.returncode}")
            time.sleep(_LOOK_SECONDS)
        watch.report()
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(_TIMEOUT_SECONDS)


if __name__ == "__main__":
    main(task_from_arguments())
