"""What the demo says of made-up changes, in words and lines."""

import pytest

from models.outputs import Cause, ChurnReason
from stream.demo import words
from stream.demo.plain import Timing, change_line, progress_line, summary
from stream.demo.story import Story
from stream.demo.view import Phase
from stream.topics import TIER_CHANGES
from tests.demo.conftest import churn_change, tier_change, view_of

_TIERS = "key 3, growth 120, standard 0, basic 0, unrated 0"


def test_a_tier_change_names_the_component_that_moved_most() -> None:
    """The reason of a promotion is the component with the largest delta; its own behaviour goes without saying."""
    assert words.why_tier(tier_change()) == "revenue +6.1"


def test_a_tier_change_says_when_it_was_not_the_account() -> None:
    """A change that time caused says so."""
    assert words.why_tier(tier_change(cause=Cause.TIME)) == "revenue +6.1, as time passed"


@pytest.mark.parametrize(
    ("reasons", "most", "expected"),
    [
        ((ChurnReason.OVERDUE,), 2, "silent 49 days (usual 24)"),
        ((ChurnReason.COMPLAINT, ChurnReason.SLA_BREACHED), 2, "complaint, deadline missed"),
        ((ChurnReason.OVERDUE, ChurnReason.COMPLAINT, ChurnReason.SLA_BREACHED), 1, "silent 49 days (usual 24) +2"),
        ((), 2, "nothing speaks for it any longer"),
    ],
)
def test_a_churn_risk_gives_its_reasons(reasons: tuple[ChurnReason, ...], most: int, expected: str) -> None:
    """Reasons are in words, at most so many, and how many more there are."""
    assert words.why_churn(churn_change(reasons=reasons), most) == expected


def test_every_reason_and_cause_has_words() -> None:
    """A reason that the contract gains cannot be forgotten here."""
    assert all(words.why_churn(churn_change(reasons=(one,))) for one in ChurnReason)
    assert all(words.why_tier(tier_change(cause=one)) for one in Cause)


def test_changes_are_lines_that_line_up(story: Story) -> None:
    """A change is one line: when, who, from where to where, why; wide letters count as two columns."""
    lines = [change_line(one, story, "EUR") for one in (*story.tier_changes(2), *story.churn_events(1))]

    assert lines == [
        " 4 Mar 2026  Vesper Machine Works Sp. z o.o.  tier standard → growth     score 42.2 → 51.8     revenue +6.1",
        " 3 Mar 2026  Lorenz Dairy 株式会社            tier standard → growth     score 42.2 → 51.8     revenue +6.1",
        " 4 Mar 2026  José Núñez Tools GmbH            risk low → high            83%, 12,636 EUR at stake: complaint",
    ]


def test_a_name_cannot_fake_a_line(story: Story) -> None:
    """Control characters of an account's name are not printed."""
    story.take_profile(b'{"account_id": "ACC-0", "name": "two\\nlines"}')

    assert "two�lines" in change_line(tier_change(), story, "EUR")


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.STARTING, "  12.5 s  starting the worker; metrics at http://127.0.0.1:8080/metrics"),
        (
            Phase.HISTORY,
            "  12.5 s  history  40%   4 Mar 2026  8,123 events, 1,234 a second  " + _TIERS,
        ),
        (
            Phase.LIVE,
            "  12.5 s  live   4 Mar 2026  8,123 events, 1,234 a second  " + _TIERS,
        ),
    ],
)
def test_progress_is_a_line(story: Story, phase: Phase, expected: str) -> None:
    """Each phase says how far the demo is."""
    assert progress_line(view_of(story, phase)) == expected


def test_the_summary_tells_all_that_was_measured(story: Story) -> None:
    """The summary has throughput, the first change, tiers, levels, the count of each output and the latest changes."""
    lines = list(summary(view_of(story, Phase.LIVE), Timing(first_event_s=5.0, done_s=25.0, events=18_000)))

    assert lines[:8] == [
        "history         18,000 events of 300 accounts and 730 days",
        "throughput      900 events a second, done 25.0 s after the start",
        "first change    of a tier that an account already had, 7.0 s after the start",
        "tiers           key 3, growth 120, standard 0, basic 0, unrated 0",
        "churn levels    none 0, unproven 0, low 100, medium 0, high 0, lost 1",
        "published       tier-changes 3, churn-risk 2, snapshots 1, dead-letters 1",
        "dead letters    invalid_json 2, missing_field 5",
        "latest tier changes",
    ]
    assert len(lines) == 8 + 3 + 1 + 2


def test_a_first_grade_is_no_change_of_a_tier() -> None:
    """The time to the first change counts from one that an account already had a tier before."""
    story = Story()
    story.take(TIER_CHANGES, tier_change(previous=None).model_dump_json().encode(), 5.0)
    assert story.first_change_s is None

    story.take(TIER_CHANGES, tier_change().model_dump_json().encode(), 6.0)
    assert story.first_change_s == 6.0


def test_the_latest_come_first_whatever_was_read_first() -> None:
    """Partitions are read in turn: changes are shown by their own time."""
    story = Story()
    for account, day in ((0, 3), (1, 1), (2, 5), (3, 3)):
        story.take(TIER_CHANGES, tier_change(account, day).model_dump_json().encode(), 5.0)

    assert [one.account_id for one in story.tier_changes(3)] == ["ACC-2", "ACC-3", "ACC-0"]


def test_an_account_without_a_profile_goes_by_its_id(story: Story) -> None:
    """A broken profile is no name."""
    story.take_profile(b"not JSON")
    story.take_profile(None)

    assert story.name("ACC-9") == "ACC-9"
