"""From a profile on the wire to what the state keeps of it."""

from models.events import ProfileUpdated
from models.orders import nano_of
from models.state import ProfileRating, ProfileState
from processors.context import Context, day_of_date


def profile_of(event: ProfileUpdated, day: int, context: Context) -> ProfileState:
    """Read a whole profile; the budget is converted at the rate of the event's day.

    Raises:
        MissingRateError: if the policy has no rate for the budget's currency on that day.
        AmountRangeError: if the budget is too large once it is converted.
    """
    budget, override = event.budget, event.override
    return ProfileState(
        version=event.profile_version,
        name=event.name,
        segment=event.segment,
        industry=event.industry,
        region=event.region,
        owner=event.owner,
        crm_url=event.crm_url,
        parent_id=event.parent_id,
        customer_since_day=None if event.customer_since is None else day_of_date(event.customer_since),
        budget_minor=None if budget is None else context.to_minor(nano_of(budget.amount), budget.currency, day),
        renewal_day=None if event.renewal_on is None else day_of_date(event.renewal_on),
        ratings={
            name: ProfileRating(rating.value, day_of_date(rating.rated_at))
            for name, rating in event.ratings
            if rating is not None
        },
        override_tier=None if override is None else override.tier,
        override_reason=None if override is None else override.reason,
        override_until_day=None if override is None else day_of_date(override.until),
    )
