"""What one partition's task has to do with the portfolio: its censuses, and the cut points that it goes by."""

from collections.abc import Iterator
from typing import NamedTuple

from models.portfolio import CutPoints, encode_cut_points
from processors.context import Context
from processors.partition import Partition
from processors.portfolio.census import Counted
from stream.checkpoint import CUT_POINTS_KEY, CensusStep, CutPointsStep, Step
from stream.portfolio.recount import Recount
from stream.portfolio.topic import LATEST_KEY, census_key


class Offer(NamedTuple):
    """A census that is to be published."""

    step: CensusStep
    record: bytes
    counted: Counted | None
    """The census itself, where its partition's worker draws cut points."""


class Adoption(NamedTuple):
    """Cut points that are to be gone by."""

    context: Context
    record: bytes
    is_drawn: bool
    """Whether they were drawn here, so that others learn of them from this transaction."""


class Part:
    """Keeps what the open transaction says of the portfolio, until it commits.

    Args:
        partition: its number.
        accounts: of the partition.
        steps: of the open transaction.
        last: the last census that was published.
    """

    def __init__(self, partition: int, accounts: Partition, steps: list[Step], last: Recount) -> None:
        self.last = last
        self.counted: Counted | None = None
        """The last census that was published, if it is known here and not only as it was published."""
        self._key = census_key(partition)
        self._accounts = accounts
        self._steps = steps
        self._offer: Offer | None = None
        self._adoption: Adoption | None = None

    @property
    def version(self) -> int:
        """Of the cut points that the accounts are compared with; 0 without any."""
        return self._accounts.context.portfolio_version

    @property
    def cuts(self) -> CutPoints | None:
        """The cut points that the accounts are compared with."""
        return self._accounts.context.cuts

    @property
    def is_offering(self) -> bool:
        """Whether a census waits to be committed."""
        return self._offer is not None

    @property
    def is_adopting(self) -> bool:
        """Whether cut points wait to be committed: others have to wait for that."""
        return self._adoption is not None

    def offer(self, offer: Offer) -> None:
        """Publish a census with the open transaction."""
        self._offer = offer
        self._steps.append(offer.step)

    def adopt(self, context: Context, *, is_drawn: bool = False) -> None:
        """Go by the cut points of a context from here on; with the open transaction they are kept."""
        assert self._adoption is None, "one version in a transaction"
        assert context.cuts is not None, "there is something to adopt"
        self._adoption = Adoption(context, encode_cut_points(context.cuts), is_drawn)
        self._accounts.context = context
        self._steps.append(CutPointsStep(context.cuts.version))

    def redo(self) -> None:
        """Say it all again after an abort, before anything else: what was adopted stays so."""
        if self._adoption is not None:
            self._steps.append(CutPointsStep(self._adoption.context.portfolio_version))
        if self._offer is not None:
            self._steps.append(self._offer.step)

    def changelog(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Give what the transaction writes beside the accounts."""
        if self._adoption is not None:
            yield CUT_POINTS_KEY, self._adoption.record

    def published(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Give what the transaction writes to the portfolio topic."""
        if self._offer is not None:
            yield self._key, self._offer.record
        if self._adoption is not None and self._adoption.is_drawn:
            yield LATEST_KEY, self._adoption.record

    def committed(self) -> None:
        """Take the transaction as committed."""
        if self._offer is not None:
            self.last.counted(self._offer.step.as_of_day, self._offer.step.accounts)
            self.counted = self._offer.counted
        self._offer = self._adoption = None
