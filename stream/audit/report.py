"""What an audit found."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Final

_NAMED_MAX: Final = 100


@unique
class Fault(StrEnum):
    """In what way something is not as it should be."""

    GAP = "gap"
    """Offsets of an input that no step read."""
    OVERLAP = "overlap"
    """Offsets of an input that were read twice."""
    INPUT = "input"
    """An input does not hold what the steps read."""
    CHECKPOINT = "checkpoint"
    """A checkpoint says something else than what its steps lead to."""
    STATE = "state"
    """A state record is not what the steps lead to, or there is none."""
    MISSING = "missing"
    """An output that should have been published is not there."""
    TWICE = "twice"
    """An output is there more than once."""
    DIFFERENT = "different"
    """An output holds other bytes than it should."""
    UNEXPECTED = "unexpected"
    """An output that nothing led to."""
    SNAPSHOT = "snapshot"
    """The last snapshot of an account is not of its state."""


@dataclass
class PartitionReport:
    """What an audit found in one partition."""

    partition: int
    transactions: int = 0
    """Checkpoints that were there."""
    records: int = 0
    """Input records that were processed again."""
    states: int = 0
    """State records and erasure marks that were compared."""
    outputs: int = 0
    """Outputs that were compared: tier changes, churn events, dead letters and snapshots."""
    expired: int = 0
    """Outputs that are older than what their topic keeps."""
    taken: Counter[str] = field(default_factory=Counter)
    """Transactions that could not be replayed and were taken as they are, by the reason."""
    faults: Counter[Fault] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    """The first faults, in words."""

    @property
    def audited(self) -> int:
        """Transactions that were replayed and compared."""
        return self.transactions - self.taken.total()

    def fault(self, kind: Fault, text: str) -> None:
        """Count a fault, and name it if it is one of the first."""
        self.faults[kind] += 1
        if len(self.named) < _NAMED_MAX:
            self.named.append(f"{kind}: {text}")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "partition": self.partition,
            "transactions": self.transactions,
            "audited": self.audited,
            "not_audited": dict(self.taken),
            "records": self.records,
            "states": self.states,
            "outputs": self.outputs,
            "outputs_expired": self.expired,
            "faults": {kind.value: self.faults[kind] for kind in Fault},
            "named": self.named,
        }
