"""Whether the company is believable: its statistics with fixed seeds."""

from collections import Counter, defaultdict
from datetime import date, datetime
from statistics import fmean, median

import pytest

from models.events import InputTopic
from stream.simulation import ChurnCause, LabelledRecord, Mark, Simulation, SimulationSpec, Truth
from stream.simulation.spec import date_of, day_of
from stream.simulation.truth import AccountTruth

History = list[LabelledRecord]


def _truth_of(seed: int) -> Truth:
    spec = SimulationSpec(until=date(2026, 6, 30))
    truth = Truth(spec, seed)
    for labelled in Simulation(spec, seed).labelled_history():
        truth.note(labelled)
    return truth


@pytest.fixture(scope="module", params=range(5), name="company")
def _company(request: pytest.FixtureRequest) -> Truth:
    return _truth_of(request.param)


def _churned(truth: Truth) -> list[AccountTruth]:
    last_day = day_of(truth.spec.until)
    return [account for account in truth.accounts.values() if account.has_churned(last_day)]


def _events(history: History, type_: str) -> list[LabelledRecord]:
    accepted = (Mark.CLEAN, Mark.LATE)
    return [one for one in history if one.mark in accepted and one.fields["type"] == type_]


def _day(labelled: LabelledRecord) -> date:
    return datetime.fromisoformat(labelled.fields["occurred_at"]).date()


def test_a_company_has_as_many_orders_as_its_size_suggests(company: Truth) -> None:
    """300 accounts place 8,000 to 15,000 orders in two years, and every account is there."""
    assert 8_000 < company.types()["order.completed"] < 15_000
    assert len(company.accounts) == 300


def test_the_largest_fifth_brings_about_two_thirds(company: Truth) -> None:
    """Revenue is as unequal as in a real customer base."""
    assert 0.58 < company.top_share() < 0.8


def test_about_a_quarter_leaves_for_every_cause(company: Truth) -> None:
    """20 to 36 % of the accounts are lost in two years, some for each cause, and a few come back."""
    churned = company.churned()

    assert 0.2 < churned.total() / 300 < 0.36
    assert set(churned) == set(ChurnCause)
    assert min(churned.values()) >= 8
    assert 1 <= company.returned() < churned.total() / 4


def test_an_account_that_left_orders_nothing_until_it_returns(history: History, truth: Truth) -> None:
    """No order is dated after the churn day, or before the return that the truth names."""
    lines = {line["account_id"]: line for line in truth.account_lines()}
    after = [
        labelled
        for labelled in _events(history, "order.completed")
        if (left := lines[labelled.persona.account_id]["churned_on"]) is not None and _day(labelled).isoformat() > left
    ]

    returned = {one.persona.account_id: "" for one in after}
    for one in after:
        assert _day(one).isoformat() >= lines[one.persona.account_id]["returned_on"]
    assert set(returned) == {id_ for id_, line in lines.items() if line["returned_on"] is not None}


def test_a_return_comes_after_the_loss_would_be_noticed(truth: Truth) -> None:
    """Who comes back was silent for more than 180 days and three of its own gaps."""
    for account in truth.accounts.values():
        life = account.persona.life
        if life.return_day is not None:
            silent_days = life.return_day - life.churn_day
            assert silent_days > max(180, 3 * account.persona.gap_days)


def test_bad_service_shows_before_the_account_leaves(company: Truth) -> None:
    """In the 60 days before, they have several times the severe tickets, breaches and complaints."""
    troubles: dict[bool, list[Counter[str]]] = defaultdict(list)
    for account in _churned(company):
        life = account.persona.life
        if life.churn_day - 60 > company.spec.first_day:
            troubles[life.churn_cause is ChurnCause.BAD_SERVICE].append(account.troubles)

    def mean(type_: str, *, bad: bool) -> float:
        return fmean(trouble[type_] for trouble in troubles[bad])

    assert min(trouble["ticket.opened"] for trouble in troubles[True]) >= 4
    for type_ in ("ticket.opened", "sla.breached", "complaint.filed"):
        assert mean(type_, bad=True) > 4 * mean(type_, bad=False)


def test_satisfaction_falls_before_bad_service_drives_an_account_away(history: History, truth: Truth) -> None:
    """Answers of the last 30 days are far below those of more than 60 days before the end."""
    bad = {
        one.persona.account_id: date_of(one.persona.life.churn_day)
        for one in _churned(truth)
        if one.persona.life.churn_cause is ChurnCause.BAD_SERVICE
    }
    early, late = [], []
    for answer in _events(history, "survey.answered"):
        end = bad.get(answer.persona.account_id)
        if end is None or answer.fields["kind"] != "csat":
            continue
        days_left = (end - _day(answer)).days
        if days_left > 60:
            early.append(answer.fields["score"])
        elif 0 <= days_left < 30:
            late.append(answer.fields["score"])

    assert fmean(late) < fmean(early) - 1.5


def test_orders_shrink_before_a_competitor_takes_an_account(history: History, truth: Truth) -> None:
    """Typical orders of the last 60 days are under 60 % of those before the decline."""
    lost = {one.persona.account_id for one in _churned(truth) if one.persona.life.churn_cause is ChurnCause.COMPETITOR}
    amounts: dict[bool, dict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    for order in _events(history, "order.completed"):
        life = order.persona.life
        days_left = life.churn_day - day_of(_day(order))
        if order.persona.account_id in lost and days_left >= 0:
            if days_left < 60:
                amounts[True][order.persona.account_id].append(float(order.fields["amount"]))
            elif days_left > life.decline_days:
                amounts[False][order.persona.account_id].append(float(order.fields["amount"]))

    both = amounts[True].keys() & amounts[False].keys()
    assert len(both) >= 10
    assert median(fmean(amounts[True][id_]) / fmean(amounts[False][id_]) for id_ in both) < 0.6


def test_business_rests_on_weekends_and_at_the_turn_of_the_year(history: History) -> None:
    """A Sunday has under a tenth of a Tuesday's orders, Christmas week under half of an October week."""
    days = Counter(_day(order) for order in _events(history, "order.completed"))
    weekdays = Counter[int]()
    for day, orders in days.items():
        weekdays[day.weekday()] += orders

    def week(month: int, first: int) -> int:
        return sum(days[date(2025, month, first + place)] for place in range(7))

    assert weekdays[6] < weekdays[1] / 10
    assert week(12, 25) < week(10, 9) / 2


def test_accounts_differ(simulation: Simulation) -> None:
    """Gaps span 3 to 90 days, margins and growth have both signs, every list is used."""
    personas = list(simulation.personas())
    gaps_days = [persona.gap_days for persona in personas]

    assert min(gaps_days) < 4
    assert max(gaps_days) > 70
    assert 0.02 < fmean(persona.margin < 0 for persona in personas) < 0.12
    assert 0.25 < fmean(persona.growth_per_year < 0 for persona in personas) < 0.6
    assert len({persona.industry for persona in personas}) == 12
    assert len({persona.region for persona in personas}) == 12
    assert len({persona.segment for persona in personas}) >= 10
    assert len({persona.owner for persona in personas}) == 14


def test_names_look_like_companies(simulation: Simulation) -> None:
    """No two accounts share a name, and some names have letters beyond ASCII."""
    names = [persona.name for persona in simulation.personas()]

    assert len(set(names)) == len(names)
    assert 20 < sum(not name.isascii() for name in names) < 80


def test_own_rhythm_is_kept(history: History, truth: Truth) -> None:
    """The mean gap between orders is near the account's own, season and weekends included."""
    last_day = day_of(truth.spec.until)
    days: dict[str, list[int]] = defaultdict(list)
    for order in _events(history, "order.completed"):
        days[order.persona.account_id].append(day_of(_day(order)))
    ratios = []
    for account_id, ordered in days.items():
        persona = truth.accounts[account_id].persona
        if len(ordered) >= 30 and persona.life.churn_day > last_day:
            gap_days = (max(ordered) - min(ordered)) / (len(ordered) - 1)
            ratios.append(gap_days / persona.gap_days)

    assert len(ratios) > 40
    assert 0.9 < median(ratios) < 1.15


def test_profiles_count_their_versions(history: History) -> None:
    """An account's first record is version 1 of its profile, and each later version is one more."""
    versions: dict[str, list[int]] = defaultdict(list)
    seen: set[bytes] = set()
    for labelled in history:
        if labelled.record.key not in seen:
            assert labelled.record.topic is InputTopic.PROFILES
            seen.add(labelled.record.key)
    for profile in _events(history, "profile.updated"):
        versions[profile.persona.account_id].append(profile.fields["profile_version"])

    assert all(seen_ == list(range(1, len(seen_) + 1)) for seen_ in versions.values())
    assert max(map(len, versions.values())) > 3
