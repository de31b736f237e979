"""Which accounts were erased, from the topic of snapshots: their events are not delivered any more."""

from typing import Any, Final

from confluent_kafka import Message

from stream.headers import Header


class Erasures:
    """The least incarnation of each account that is not erased. Written by one thread, read by others.

    It remembers only accounts that were erased at least once.
    """

    def __init__(self) -> None:
        self._least: Final[dict[bytes, int]] = {}

    def handle(self, message: Message) -> None:
        """Learn from a snapshot, or from its deletion."""
        pairs: list[Any] = list(message.headers() or [])
        key = message.key()
        told = next((value for name, value in pairs if name == Header.CE_INCARNATION), None)
        # What somebody else wrote there tells of no erasure, and ends no delivery.
        incarnation = int(told) if told is not None and told.isdigit() else 0
        if key is not None and incarnation > 0:
            self._least[key] = incarnation

    def holds(self, account_id: str, incarnation: int) -> bool:
        """Return whether an event of this incarnation is of an erased account."""
        return incarnation < self._least.get(account_id.encode(), 0)
