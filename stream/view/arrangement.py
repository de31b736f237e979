"""What accounts are ordered and grouped by."""

from enum import StrEnum, unique


@unique
class Sort(StrEnum):
    """What accounts can be ordered by. Those without a value come last, whichever the direction."""

    REVENUE = "revenue"
    """Of the longest window."""
    SCORE = "score"
    """Of accounts that have ordered: what is not yet a customer is not compared with customers."""
    RISK = "risk"
    """The risk of churn."""
    VALUE_AT_STAKE = "value_at_stake"
    """The risk of churn times what a year with the account is worth."""
    VALUE_LOST = "value_lost"
    """What a year with the account was worth when it was lost; of lost accounts only."""
    NAME = "name"
    """In alphabetical order, without regard to case and accents."""


@unique
class Dimension(StrEnum):
    """What accounts can be filtered by, and counted by."""

    TIER = "tier"
    CHURN_LEVEL = "churn_level"
    ABC_REVENUE = "abc_revenue"
    LIFECYCLE = "lifecycle"
    SEGMENT = "segment"
    OWNER = "owner"
    REGION = "region"
    RFM_SEGMENT = "rfm_segment"
    XYZ = "xyz"
    ACCOUNT_TYPE = "account_type"
