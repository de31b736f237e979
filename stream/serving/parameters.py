"""Parameters of requests that more than one route takes, or that are many."""

from typing import Annotated, Final, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from models.fields import Text
from models.outputs import Abc, AccountType, ChurnLevel, Lifecycle, RfmSegment, Tier, Xyz
from stream.serving.queries import LIMIT_MAX, SEARCH_CHARACTERS_MAX, VALUES_MAX, AccountQuery
from stream.view.arrangement import Dimension, Sort

CURSOR_CHARACTERS_MAX: Final = 1200

ValueT = TypeVar("ValueT")
Values = Annotated[list[ValueT], Field(default=[], max_length=VALUES_MAX)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Accounts on one page, at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`next` of the page before, with all else as it was."),
]


class AccountParameters(BaseModel):
    """Which accounts are asked for, in which order."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tier: Values[Tier]
    churn_level: Values[ChurnLevel]
    abc_revenue: Values[Abc]
    xyz: Values[Xyz]
    lifecycle: Values[Lifecycle]
    rfm_segment: Values[RfmSegment]
    account_type: Values[AccountType]
    segment: Values[Text]
    owner: Values[Text]
    region: Values[Text]
    search: str | None = Field(None, min_length=1, max_length=SEARCH_CHARACTERS_MAX, pattern=r"\S", examples=["paper"])
    """Beginning of the name or of its second word, without regard to case and accents; or a whole account id. What is
    found is in the order of names."""
    sort: Sort | None = None
    """By revenue, or by name beside a search, when it is not said; by value lost only with `churn_level=lost`.
    Accounts without the figure come last in either direction; the score of one that never ordered counts as none."""
    descending: bool | None = None
    """Largest first, names in ascending order, when it is not said."""
    limit: int = Field(50, ge=1, le=LIMIT_MAX)
    """Accounts on one page, at most."""
    cursor: str | None = Field(None, max_length=CURSOR_CHARACTERS_MAX)
    """`next` of the page before, with all else as it was."""

    def query(self) -> AccountQuery:
        """Give what is asked for.

        Raises:
            QueryError: for a combination that is not offered.
        """
        given = {dimension: getattr(self, dimension.value) for dimension in Dimension}
        sort = self.sort or (Sort.REVENUE if self.search is None else Sort.NAME)
        return AccountQuery(
            filters={dimension: frozenset(map(str, values)) for dimension, values in given.items() if values},
            search=self.search,
            sort=sort,
            descending=sort is not Sort.NAME if self.descending is None else self.descending,
            limit=self.limit,
            cursor=self.cursor,
        )
