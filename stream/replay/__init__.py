"""The same core without Kafka: files of events in, files of outputs out, on the event clock.

Deterministic: the same files, policy and `until` give the same bytes, in however many processes.
"""

from stream.replay.outputs import (
    CHURN_RISK_FILE,
    DEAD_LETTERS_FILE,
    SNAPSHOTS_FILE,
    TIER_CHANGES_FILE,
)
from stream.replay.running import (
    DEFAULT_PARTITIONS,
    Replay,
    ReplayError,
    Summary,
    default_policy,
    processes_for,
    total_bytes,
)

__all__ = [
    "CHURN_RISK_FILE",
    "DEAD_LETTERS_FILE",
    "DEFAULT_PARTITIONS",
    "SNAPSHOTS_FILE",
    "TIER_CHANGES_FILE",
    "Replay",
    "ReplayError",
    "Summary",
    "default_policy",
    "processes_for",
    "total_bytes",
]
