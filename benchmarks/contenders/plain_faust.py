"""Plain Faust on the same work: one agent, one table in memory with its changelog, its own driver, at least once.

Tuned as its documentation says: its extensions in C, uvloop, orjson (the `fast` bundle), no waiting for an empty
stream, a large buffer, batches that linger. The state goes to the changelog through a codec of its own, MessagePack.
"""

import os
from typing import Any, Final

import faust
from faust.serializers import codecs
from mode import loop

from benchmarks.contenders import job
from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments

APP: Final[dict[str, Any]] = {
    "store": "memory://",
    "topic_partitions": 4,
    "topic_replication_factor": 1,
    "table_standby_replicas": 0,
    "consumer_auto_offset_reset": "earliest",
    "web_enabled": False,
    "worker_redirect_stdouts": False,
    "stream_wait_empty": False,
    "stream_buffer_maxsize": 16_384,
    "stream_publish_on_commit": False,
    "broker_commit_interval": 1.0,
    "broker_max_poll_records": 5000,
    "producer_acks": -1,
    "producer_linger": 0.005,
    "producer_max_batch_size": 1_000_000,
    "producer_compression_type": "lz4",
    "topic_disable_leader": True,
}
_CODEC: Final = "account-state"


class StateCodec(codecs.Codec):
    """States as MessagePack."""

    def _dumps(self, obj: Any) -> bytes:
        return job.encode_state(obj)

    def _loads(self, s: bytes) -> Any:
        return job.decode_state(s)


def build(task: Task) -> faust.App:
    """Build the app."""
    codecs.register(_CODEC, StateCodec())
    app = faust.App(task.run, broker=f"kafka://{task.bootstrap_servers}", datadir=task.folder, **APP)
    raw: Any = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    packed: Any = faust.Schema(key_type=bytes, key_serializer="raw", value_serializer=_CODEC)
    orders = app.topic(task.topic, schema=raw)
    changes = app.topic(task.changes_topic, schema=raw)
    accounts: Any = app.Table("accounts", default=job.State, partitions=4, schema=packed)
    # A table gives its own serializers to the changelog, by the types of keys and values that it knows.
    accounts.key_serializer, accounts.value_serializer = "raw", _CODEC
    watch = Stopwatch(task)

    async def work(stream: Any) -> None:
        async for key, value in stream.items():
            state = accounts[key]
            change = job.apply(state, job.decode_order(value))
            accounts[key] = state
            if change is not None:
                await changes.send(key=key, value=job.encode_change(change))
            if watch.count(1):
                watch.report()
                await app.producer.flush()
                # Its orderly end takes seconds; everything is written.
                os._exit(0)

    app.agent(orders)(work)
    return app


def main(task: Task) -> None:
    """Work until all orders are counted."""
    loop.use("uvloop")
    faust.Worker(build(task), loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main(task_from_arguments())
