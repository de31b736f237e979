"""Trying a policy on snapshots: what two replays of the whole history say, where nothing of the history matters."""

import tempfile
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from models.outputs import Tier
from models.policy import Policy, read_policy
from processors.context import Context
from stream.backtest.history import History, replayed
from stream.replay import SNAPSHOTS_FILE, Replay
from stream.serving.errors import TrialRefusedError
from stream.serving.sample import Sampled, sampled_of
from stream.serving.trial import PolicyTrial, TrialLimit, TrialResult, trial_of, tried

NO_MEMORY: Final = {"enter": 66, "leave": 66}, {"enter": 50, "leave": 50}, {"enter": 25, "leave": 25}
HELD: Final = read_policy(
    {
        "reporting_currency": "EUR",
        "tiers": {
            **dict(zip(("key", "growth", "standard"), NO_MEMORY, strict=True)),
            "dwell_days": 0,
            "confidence_min": 0.05,
            "key_confidence_min": 0.1,
        },
        "support": {"feed": True},
    }
)
"""A policy without hysteresis: where an account stands follows from what it is, and not from where it stood."""
LATEST_MS: Final = 1_767_225_600_000
UNTIL: Final = date(2025, 12, 31)
TRIALS: Final[dict[str, dict[str, Any]]] = {
    "weights": {"weights": {"revenue": 60, "relationship": 0}},
    "bounds": {"tiers": {"key": {"enter": 60, "leave": 60}, "standard": {"enter": 40, "leave": 40}}},
    "confidence": {"tiers": {"confidence_min": 0.6, "key_confidence_min": 0.9}},
    "vetoes": {
        "vetoes": [
            {"name": 'the "cases"', "measure": "open_severe_tickets", "at_least": 1, "tier_max": "basic"},
            {"name": "profit", "measure": "profit", "below": 2000.5, "tier_max": "standard"},
            {"name": "small", "measure": "relationship_score", "below": 55, "tier_max": "growth"},
        ]
    },
}


@pytest.fixture(scope="module")
def sample(events: list[Path]) -> list[Sampled]:
    """The snapshots under the policy that is held."""
    with tempfile.TemporaryDirectory() as name:
        Replay(Context(HELD), LATEST_MS, UNTIL, 4).run(events, Path(name), lambda _: None)
        lines = (Path(name) / SNAPSHOTS_FILE).read_bytes().splitlines()
    return [sampled_of(line, HELD.scorecard.rating_days) for line in lines]


@pytest.fixture(scope="module")
def replay(events: list[Path]) -> Callable[[Policy], History]:
    """Replay the history under another policy."""
    return lambda policy: replayed(Context(policy), events, LATEST_MS, UNTIL, 4, lambda _: None)


def result_of(sample: list[Sampled], asked: dict[str, Any]) -> TrialResult:
    """Try what is asked."""
    return tried(trial_of(HELD, PolicyTrial.model_validate(asked)), sample, len(sample), 2)


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_says_what_a_replay_of_the_history_says(
    sample: list[Sampled], replay: Callable[[Policy], History], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Who changes, from where to where, why, and with which scores: all as in a replay under the other policy."""
    monkeypatch.setattr("stream.serving.trial.LARGEST_MAX", 10_000)
    found = result_of(sample, TRIALS[name])
    after = replay(trial_of(HELD, PolicyTrial.model_validate(TRIALS[name])).tried).accounts
    before = {one.account_id: one.known.tier for one in sample}
    expected = {one: (tier, after[one].tier) for one, tier in before.items() if tier != after[one].tier}

    assert expected
    assert {one.account_id: (one.before, one.after) for one in found.largest} == expected
    for one in found.largest:
        assert one.score_after == pytest.approx(after[one.account_id].score, abs=0.011)
    assert found.unsettled == 0
    assert found.changed == sum(one.accounts for one in found.moves) == len(expected)
    assert found.tiers_after == {tier: sum(one.tier == tier for one in after.values()) for tier in Tier}


def test_a_trial_of_nothing_changes_nothing(sample: list[Sampled]) -> None:
    """Whatever an account waits for, it is not the trial that moves it."""
    found = result_of(sample, {})

    assert (found.changed, found.moves, found.largest) == (0, (), ())
    assert found.tiers_before == found.tiers_after
    assert found.policy_version == found.tried_version
    assert found.policy_changes == ""


def test_the_changes_are_a_part_of_a_policy_file(sample: list[Sampled]) -> None:
    """Laid over the policy in force they make the one that was tried, whatever the names in it."""
    for asked in TRIALS.values():
        found = result_of(sample, asked)
        changes = tomllib.loads(found.policy_changes)
        whole: dict[str, Any] = HELD.model_dump(mode="json")
        for section, one in changes.items():
            if section == "vetoes":
                whole[section] = one
                continue
            for key, value in one.items():
                whole[section][key] = {**whole[section][key], **value} if isinstance(value, dict) else value
        assert read_policy(whole).version == found.tried_version


def test_what_is_no_policy_is_refused_part_by_part() -> None:
    """Every part that is wrong is named, as it was asked."""
    asked = PolicyTrial.model_validate(
        {"weights": {"revenue": 0}, "tiers": {"key": {"enter": 40}, "growth": {"leave": 90}}}
    )
    with pytest.raises(TrialRefusedError) as caught:
        trial_of(HELD, asked)

    assert {part for part, _ in caught.value.problems} == {"tiers.key", "tiers.growth"}


def test_a_part_of_the_accounts_stands_for_all(sample: list[Sampled]) -> None:
    """Counts and revenue are weighed, the accounts named are those looked at, and the limits say that it is a part."""
    weighed = [one._replace(weight=10.0) for one in sample]
    trial = trial_of(HELD, PolicyTrial.model_validate(TRIALS["bounds"]))
    part = tried(trial, weighed, len(sample) * 10, 2)
    whole = tried(trial, sample, len(sample), 2)

    assert (part.whole, whole.whole) == (False, True)
    assert part.changed == 10 * whole.changed
    assert [one.accounts for one in part.moves] == [10 * one.accounts for one in whole.moves]
    assert part.largest == whole.largest
    assert set(part.limits) - set(whole.limits) == {TrialLimit.ESTIMATED}


def test_who_waits_for_a_dwell_time_is_unsettled_and_not_changed(sample: list[Sampled]) -> None:
    """An account that the policy in force would demote in time is told apart from those that the trial moves."""
    weak = next(one for one in sample if one.known.tier is Tier.STANDARD)
    waiting = weak._replace(known=weak.known._replace(tier=Tier.KEY))

    found = tried(trial_of(HELD, PolicyTrial()), [waiting], 1, 2)

    assert (found.unsettled, found.changed) == (1, 0)


def test_a_tier_set_by_hand_stays(sample: list[Sampled]) -> None:
    """No weights and no veto move it."""
    by_hand = [one._replace(known=one.known._replace(overridden=True)) for one in sample]

    assert tried(trial_of(HELD, PolicyTrial.model_validate(TRIALS["vetoes"])), by_hand, len(by_hand), 2).changed == 0
