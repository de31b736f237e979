"""What accounts were judged by: policies and churn models that are known, and the cut points that are found."""

from collections.abc import Iterable

from models.portfolio import decode_cut_points
from processors.context import Context


class Judges:
    """Contexts by policy and by version of the cut points.

    Args:
        contexts: every policy and churn model that was in force, or those that are known; the present ones first.
    """

    def __init__(self, contexts: Iterable[Context]) -> None:
        # Fixed cut points are in the state topic, too.
        self._known = {context.configuration: context.with_cuts(None) for context in contexts}
        self._cuts: dict[int, bytes] = {}
        self._latest: dict[tuple[str, int], Context] = {}

    @property
    def present(self) -> Context:
        """The policy in force, without cut points."""
        return next(iter(self._known.values()))

    def know(self, configuration: str) -> bool:
        """Tell whether a policy is known."""
        return configuration in self._known

    def take_cuts(self, written: bytes) -> tuple[int, bool]:
        """Take cut points as they were written; returns their version, and whether it is what was known of it.

        Raises:
            PortfolioFormatError: if they cannot be read.
        """
        version = decode_cut_points(written).version
        return version, self._cuts.setdefault(version, written) == written

    def context(self, configuration: str, version: int) -> Context:
        """Give a policy with the cut points of a version, 0 being none; both are known."""
        key = configuration, version
        if key not in self._latest:
            cuts = decode_cut_points(self._cuts[version]) if version else None
            # Partitions are replayed one after another: each goes through all versions again.
            self._latest = {key: self._known[configuration].with_cuts(cuts)}
        return self._latest[key]
