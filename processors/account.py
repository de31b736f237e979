"""The core: what one event, or time alone, does to one account.

`apply` and `advance` are the only way in which an account changes, in a worker over Kafka as in a replay of files.
The state belongs to the caller and is changed in place. Same input, same output, always.
"""

from typing import Final

import msgspec

from models.bodies import OutputEvent
from models.events import (
    TOPIC_OF_TYPE,
    AccountErased,
    AccountEvent,
    InputTopic,
    OrderEvent,
    ProfileUpdated,
    TicketOpened,
)
from models.fields import SUM_MINOR_MAX
from models.orders import CoreEvent, Order, order_of
from models.outputs import Cause
from models.reasons import Outcome, RefusalReason
from models.state import PRODUCT_LINES_MAX, UNPLANNED, AccountState, ErasedAccount, ProfileState
from models.wire import Refusal
from processors import publish, recent, support, windows
from processors.context import AmountRangeError, Context, MissingRateError
from processors.evaluation import Evaluation, evaluate, level_of, override_of, plan, settle, tier_of
from processors.profiles import profile_of
from processors.windows import Movement

CORRECTIONS = frozenset({"order.refunded", "order.cancelled"})
# The compiled core looks the member of an enumeration up each time it is named there.
_TIME: Final = Cause.TIME
_BEHAVIOUR: Final = Cause.BEHAVIOUR
_CORRECTION: Final = Cause.CORRECTION
_APPLIED: Final = Outcome.APPLIED
_LATE: Final = Outcome.LATE


class Step(msgspec.Struct, frozen=True, gc=False):
    """What became of an account.

    `state` is None if the account is not (or no longer) known. `outcome` is None for a step of time and for a
    refused event. `changed` tells whether the state must be written.
    """

    state: AccountState | None
    outputs: tuple[OutputEvent, ...] = ()
    outcome: Outcome | None = None
    refusal: Refusal | None = None
    changed: bool = False
    erased: ErasedAccount | None = None


def apply(  # noqa: PLR0913  # two moments: what time it is, and how far time had come
    state: AccountState | None,
    event: CoreEvent | AccountEvent,
    context: Context,
    *,
    now_ms: int = 0,
    clock_ms: int = 0,
    erased: ErasedAccount | None = None,
    planned: bool = True,
) -> Step:
    """Apply one event to its account.

    A change of policy comes first, as of the account's own moment; then the due days up to the event's moment, each
    as of that day; then new cut points, if no due day brought them; then the event. Each is an evaluation of its own
    and publishes one net change.

    Args:
        state: the account's state, or None if it is not known yet.
        event: any event of the account; an order as it was read, or as the contract has it.
        context: the policy and what follows from it.
        now_ms: the live clock in epoch milliseconds; 0 with the event clock, where the event's own time counts.
        clock_ms: how far time had come before the event. Due days up to there come first even if nobody has looked
            yet, so that a late event finds the same account whenever time is noticed.
        erased: what is left of an erasure of this account, if there was one.
        planned: whether the due day is worked out; else the caller has to `plan` before anybody reads it.
    """
    if not isinstance(event, Order) and isinstance(event, OrderEvent):
        event = order_of(event)
    if erased is not None and event.occurred_ms <= erased.erased_ms:
        return Step(state, outcome=Outcome.ERASED)
    if isinstance(event, AccountErased):
        return _erase(state, event, erased, context, max(now_ms, clock_ms))
    read = _understood(event, context)
    if isinstance(read, Refusal):
        return Step(state, refusal=read)
    print_ = recent.fingerprint(event)
    if state is None:
        state = _fresh(event, erased, context)
    elif (outcome := _ignored(state, event, print_)) is not None:
        return Step(state, outcome=outcome)
    elif not _fits(state, event, read, context):
        detail = f"a sum of the account would pass {SUM_MINOR_MAX} minor units"
        return Step(state, refusal=Refusal(RefusalReason.INVALID_FIELD, detail))
    moment_ms = max(state.as_of_ms, event.occurred_ms, now_ms)
    outputs = _catch_up(state, context.day_of(max(moment_ms, clock_ms)), context)
    moment_ms = max(state.as_of_ms, moment_ms)
    # The event's own day too: where the clock goes back over midnight it may be the day after the moment's.
    as_of_day = max(state.as_of_day, read.occurred_day, context.day_of(moment_ms))
    outputs += _adopt(state, moment_ms, as_of_day, context)
    cause = _cause(state, event, read, as_of_day, context)
    outcome = _take(state, event, read, as_of_day, context)
    _remember(state, event, print_)
    if outcome is not _APPLIED:
        cause = _CORRECTION
    outputs += _conclude(state, moment_ms, as_of_day, cause, context, event.event_id)
    if planned:
        plan(state)
    return Step(state, tuple(outputs), outcome, None, True)


def advance(state: AccountState, now_ms: int, context: Context) -> Step:
    """Let time pass for an account: a change of policy, its due days up to now, each as of that day.

    New cut points that no due day has brought reach it as of now.
    """
    revision = state.revision
    day = context.day_of(now_ms)
    outputs = _catch_up(state, day, context)
    outputs += _adopt(state, max(state.as_of_ms, now_ms), max(state.as_of_day, day), context)
    plan(state)
    return Step(state, tuple(outputs), changed=state.revision != revision)


def _fresh(event: CoreEvent, erased: ErasedAccount | None, context: Context) -> AccountState:
    return AccountState(
        event.account_id,
        incarnation=0 if erased is None else erased.incarnation,
        configuration=context.configuration,
        portfolio_version=context.portfolio_version,
    )


class _Read:
    """An event read against the policy, before it touches the state.

    Args:
        day: the local day on which it counts.
        occurred_day: the local day on which it happened.
        movement: of an order.
        profile: that the event gives.
    """

    __slots__ = ("day", "movement", "occurred_day", "profile")

    def __init__(
        self, day: int, occurred_day: int, movement: Movement | None = None, profile: ProfileState | None = None
    ) -> None:
        self.day: Final = day
        self.occurred_day: Final = occurred_day
        self.movement: Final = movement
        self.profile: Final = profile


def _understood(event: CoreEvent, context: Context) -> _Read | Refusal:
    try:
        return _read(event, context)
    except MissingRateError as error:
        return Refusal(RefusalReason.MISSING_RATE, str(error))
    except AmountRangeError as too_large:
        return Refusal(RefusalReason.INVALID_FIELD, str(too_large))


def _read(event: CoreEvent, context: Context) -> _Read:
    occurred_day = context.day_of(event.occurred_ms)
    if isinstance(event, Order):
        if event.type == "order.completed":
            return _Read(occurred_day, occurred_day, _movement(event, occurred_day, 1, 1, context))
        ordered_day = occurred_day if event.ordered_ms is None else context.day_of(event.ordered_ms)
        if event.type == "order.refunded":
            return _Read(occurred_day, occurred_day, _movement(event, ordered_day, -1, 0, context))
        return _Read(ordered_day, occurred_day, _movement(event, ordered_day, -1, -1, context))
    if isinstance(event, ProfileUpdated):
        return _Read(occurred_day, occurred_day, None, profile_of(event, occurred_day, context))
    return _Read(occurred_day, occurred_day)


def _movement(order: Order, rate_day: int, sign: int, orders: int, context: Context) -> Movement:
    cost = None if order.cost_nano is None else sign * context.to_minor(order.cost_nano, order.currency, rate_day)
    return Movement(sign * context.to_minor(order.amount_nano, order.currency, rate_day), orders, cost)


def _fits(state: AccountState, event: CoreEvent, read: _Read, context: Context) -> bool:
    if isinstance(event, TicketOpened):
        cost = context.service_cost_minor.get(event.severity, 0)
        return state.lifetime_service_cost_minor + cost <= SUM_MINOR_MAX
    return read.movement is None or windows.fits(state, read.day, read.movement)


def _take(state: AccountState, event: CoreEvent, read: _Read, as_of_day: int, context: Context) -> Outcome:
    """Change the data of the state; the evaluation follows."""
    horizon_start_day = as_of_day - context.horizon_days + 1
    if as_of_day != state.as_of_day:
        _forget(state, horizon_start_day)
    if isinstance(event, Order):
        assert read.movement is not None
        inside = windows.add(state, read.day, read.movement, horizon_start_day)
        if inside and event.product_lines:
            _note_lines(state, event.product_lines, read.day)
    elif isinstance(event, ProfileUpdated):
        state.profile = read.profile
        return Outcome.APPLIED
    else:
        assert not isinstance(event, AccountErased), "an erasure is no change of a state"
        inside = support.record(state, event, read.day, horizon_start_day, context.service_cost_minor)
    if not inside:
        return Outcome.TOO_LATE
    # A cancellation counts on a past day by nature; it is late when it comes late itself.
    return _LATE if read.occurred_day < as_of_day else _APPLIED


def _note_lines(state: AccountState, lines: tuple[str, ...], day: int) -> None:
    """Note when product lines were ordered last; beyond the maximum the one ordered longest ago is forgotten."""
    held = state.product_lines
    for line in lines:
        if held.get(line, -1) < day:
            held[line] = day
    if len(held) > PRODUCT_LINES_MAX:
        latest = sorted(held.items(), key=lambda one: (-one[1], one[0]))[:PRODUCT_LINES_MAX]
        state.product_lines = dict(sorted(latest))


def _forgets(state: AccountState, as_of_day: int, context: Context) -> bool:
    """Tell whether a day leaves the horizon of an account on the way to another."""
    start_day = as_of_day - context.horizon_days + 1
    first_days = (
        state.days[:1],
        [one.day for one in state.support_days[:1]],
        [one.day for one in state.surveys[:1]],
        [one.opened_day for one in state.open_tickets],
        state.product_lines.values(),
    )
    return any(day < start_day for days in first_days for day in days)


def _forget(state: AccountState, horizon_start_day: int) -> None:
    if state.days and state.days[0] < horizon_start_day:
        windows.drop_before(state, horizon_start_day)
    if state.product_lines and min(state.product_lines.values()) < horizon_start_day:
        state.product_lines = {line: day for line, day in state.product_lines.items() if day >= horizon_start_day}
    if state.support_days or state.surveys or state.open_tickets:
        support.drop_before(state, horizon_start_day)


def _cause(state: AccountState, event: CoreEvent, read: _Read, as_of_day: int, context: Context) -> Cause:
    """Name what an event does to its account, if it is on time: ratings behave, overrides and segments configure."""
    if isinstance(event, Order):
        return _CORRECTION if event.type in CORRECTIONS else _BEHAVIOUR
    if read.profile is not None:
        moved = context.card_of(read.profile) is not context.card_of(state.profile)
        if moved or override_of(read.profile, as_of_day) is not override_of(state.profile, as_of_day):
            return Cause.CONFIGURATION
    return _BEHAVIOUR


def _catch_up(state: AccountState, last_day: int, context: Context) -> list[OutputEvent]:
    """Take a change of policy as of the account's own moment, then the due days up to a day.

    A due day is evaluated under new cut points at once; what they alone did is found out if the tier changed.
    """
    outputs: list[OutputEvent] = []
    last_due_day = UNPLANNED
    if state.configuration != context.configuration:
        outputs += _conclude(state, state.as_of_ms, state.as_of_day, Cause.CONFIGURATION, context)
    if state.due_day == UNPLANNED and last_day <= state.as_of_day:
        # Nothing is due on the day of the last evaluation.
        return outputs
    while (due_day := plan(state)) is not None and due_day <= last_day:
        assert due_day > last_due_day, "a due day that does not grow would never end"
        last_due_day = due_day
        moment_ms = max(state.as_of_ms, context.start_of_day_ms(due_day))
        # Where the clock goes back over midnight, a moment after the day's first may belong to the day before.
        as_of_day = max(state.as_of_day, due_day, context.day_of(moment_ms))
        outputs += _conclude(state, moment_ms, as_of_day, _TIME, context)
    return outputs


def _adopt(state: AccountState, moment_ms: int, as_of_day: int, context: Context) -> list[OutputEvent]:
    """Take new cut points that no due day brought, as of a moment up to which time alone changes nothing.

    Not as of the account's own moment: a dwell time would begin before the cut points were known.
    """
    if state.portfolio_version == context.portfolio_version:
        return []
    return _conclude(state, moment_ms, as_of_day, Cause.PORTFOLIO, context)


def _conclude(  # noqa: PLR0913, PLR0917  # when, why, and by what
    state: AccountState, moment_ms: int, as_of_day: int, cause: Cause, context: Context, event_id: str | None = None
) -> list[OutputEvent]:
    """Evaluate as of a moment and its day, write the result into the state and publish the net change."""
    tier, level = tier_of(state), level_of(state)
    adopts = False
    by_cuts: Evaluation | None = None
    if event_id is None:
        adopts = cause is _TIME and state.portfolio_version != context.portfolio_version
        if adopts and _forgets(state, as_of_day, context):
            # It cannot be told from data that is forgotten.
            by_cuts = _by_cuts(state, as_of_day, context)
        # An event made room before it was taken.
        _forget(state, as_of_day - context.horizon_days + 1)
    evaluation = evaluate(state, as_of_day, context)
    if evaluation.tier is tier and evaluation.assessed.level is level:
        settle(state, evaluation, moment_ms, context)
        return []
    tier_trigger = level_trigger = publish.Trigger(cause, event_id)
    if adopts:
        by_cuts = by_cuts or _by_cuts(state, as_of_day, context)
        if by_cuts.tier is evaluation.tier:
            tier_trigger = publish.Trigger(Cause.PORTFOLIO)
        if by_cuts.assessed.level is evaluation.assessed.level:
            level_trigger = publish.Trigger(Cause.PORTFOLIO)
    settle(state, evaluation, moment_ms, context)
    changes = (
        publish.tier_change(state, evaluation, publish.Transition(tier, level, tier_trigger), context),
        publish.churn_change(state, evaluation, publish.Transition(tier, level, level_trigger), context),
    )
    return [change for change in changes if change is not None]


def _by_cuts(state: AccountState, as_of_day: int, context: Context) -> Evaluation:
    """Say what new cut points alone make of an account: on the day before."""
    return evaluate(state, max(state.as_of_day, as_of_day - 1), context)


def _ignored(state: AccountState, event: CoreEvent, print_: bytes) -> Outcome | None:
    if isinstance(event, Order):
        return recent.seen(state.recent_orders, print_)
    if TOPIC_OF_TYPE[event.type] is InputTopic.SUPPORT:
        return recent.seen(state.recent_support, print_)
    if (outcome := recent.seen(state.recent_profiles, print_)) is not None:
        return outcome
    held = state.profile
    older = isinstance(event, ProfileUpdated) and held is not None and event.profile_version < held.version
    return Outcome.STALE if older else None


def _remember(state: AccountState, event: CoreEvent, print_: bytes) -> None:
    if isinstance(event, Order):
        state.recent_orders = recent.remember(state.recent_orders, print_)
    elif TOPIC_OF_TYPE[event.type] is InputTopic.SUPPORT:
        state.recent_support = recent.remember(state.recent_support, print_)
    else:
        state.recent_profiles = recent.remember(state.recent_profiles, print_)


def _erase(
    state: AccountState | None, event: AccountErased, erased: ErasedAccount | None, context: Context, now_ms: int
) -> Step:
    incarnation = 0 if erased is None else erased.incarnation
    outputs: list[OutputEvent] = []
    if state is not None:
        incarnation = state.incarnation + 1
        # What was due before is told, or it would depend on when time was noticed.
        outputs = _catch_up(state, context.day_of(max(event.occurred_ms, now_ms)), context)
    return Step(
        None,
        tuple(outputs),
        outcome=Outcome.APPLIED,
        changed=True,
        erased=ErasedAccount(event.occurred_ms, incarnation),
    )
