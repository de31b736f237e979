"""Every key of the view in Redis, in one place, and the version of what they hold."""

from typing import Final

from stream.view.arrangement import Dimension, Sort

UNCLASSED: Final = "-"
"""In the place of a class that an account does not have."""
ABC: Final = ("A", "B", "C", UNCLASSED)
CELL_DIMENSIONS: Final = (Dimension.TIER, Dimension.CHURN_LEVEL, Dimension.ABC_REVENUE, Dimension.LIFECYCLE)
"""The dimensions of a cell, in the order of its name. Every ordered set is kept by cell: what accounts are mostly
filtered by goes together with what they are ordered by, and a list in which every account fails the filter would be
searched to its end."""
RANKED_DIMENSIONS: Final = (Dimension.SEGMENT, Dimension.OWNER, Dimension.REGION)
"""The dimensions whose values are whatever profiles say: a company has thousands of owners. Their values are kept in
the order of their revenue."""
SET_DIMENSIONS: Final = tuple(one for one in Dimension if one not in CELL_DIMENSIONS)
"""The dimensions that have a set of account ids for each of their values."""

# Fields of the hash `meta`.
SCHEMA: Final = b"schema"
BUILD: Final = b"build"
"""When the build began, in milliseconds: in the keys of all that belongs to it, and the first part of its changes'
places."""
MONTHS_SINCE: Final = b"months_since"
"""Since when all turns are counted, in milliseconds; absent if all ever were."""
SWEPT: Final = b"swept"
"""Whether the keys of former builds are removed."""
BUILT_AT: Final = b"built_at"
"""When the build was complete; absent before."""
UPDATED_AT: Final = b"updated_at"
PROGRESS: Final = b"progress"
CHANGES: Final = b"changes"
"""How many changes were written: the second part of the last one's place."""
KEPT: Final = b"kept"
"""How many changes the stream holds at most."""
POSITION: Final = b"position:"
"""Followed by topic and partition: the offset that comes next."""
TOPIC_ID: Final = b"topic:"
"""Followed by a topic: the broker's id of it."""

EVENT: Final = b"event"
"""Field of an entry of the stream of changes."""


def root_of(application_id: str) -> str:
    """Give the beginning of all keys of an application's view, whichever build and version they are of.

    It is a hash tag, so that a cluster keeps them on one node.
    """
    return f"{{{application_id}}}:view:"


def meta_key(application_id: str) -> str:
    """Give the key of the hash `meta`: which build is in force, its schema and positions, and how far it is.

    It is written with each batch, and watched by whoever writes one.
    """
    return f"{root_of(application_id)}meta"


class Keys:
    """The keys of one build of an application's view.

    Each build has keys of its own: one that begins while another one's keys are still being removed loses nothing.

    >>> Keys("demo", b"17").account("A-1")
    '{demo}:view:17:account:A-1'
    >>> Keys("demo", b"17").order(Sort.SCORE, "key:low:A:steady")
    '{demo}:view:17:order:score:key:low:A:steady'
    """

    def __init__(self, application_id: str, build: bytes) -> None:
        self.build: Final = build
        self.prefix: Final = f"{root_of(application_id)}{build.decode()}:"
        self.changes: Final = f"{self.prefix}changes"

    def account(self, account_id: str) -> str:
        """Key of what is stored of an account."""
        return f"{self.prefix}account:{account_id}"

    def order(self, sort: Sort, cell: str) -> str:
        """Key of the accounts of a cell in an order."""
        return f"{self.prefix}order:{sort}:{cell}"

    def members(self, dimension: Dimension, value: str) -> str:
        """Key of the set of accounts that have a value."""
        return f"{self.prefix}set:{dimension}:{value}"

    def totals(self, group: str) -> str:
        """Key of the counts and sums by the values of a dimension, or of a matrix."""
        return f"{self.prefix}totals:{group}"

    def ranked(self, dimension: Dimension) -> str:
        """Key of the values of a dimension in the order of their revenue, the largest first."""
        return f"{self.prefix}ranked:{dimension}"
