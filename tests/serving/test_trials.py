"""Trials over the API: whom they look at, and what is refused."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest
import redis.asyncio

from stream.serving import sample
from stream.serving.admission import TRIAL_COST, Admission
from stream.serving.errors import TrialBusyError
from stream.serving.problems import ProblemError
from stream.serving.reader import ViewReader
from stream.serving.sample import Sampled
from stream.serving.security import KeyRing, Scope
from stream.serving.telemetry import ServeMetrics
from stream.serving.trial import PolicyTrial, TrialLimit, TrialResult
from stream.serving.trying import Trials
from stream.settings import load_settings
from stream.view.entry import minor
from tests.serving.conftest import KEYS, READ_KEY, Api
from tests.serving.test_access import problem_of
from tests.serving.test_reader import ROWS, ask
from tests.support.redis import RedisServer

EVERYBODY: Final = {row.account_id for row in ROWS}


def sampled(server: RedisServer, application_id: str) -> tuple[list[Sampled], int]:
    """Read the accounts that a trial looks at."""
    found: tuple[list[Sampled], int] = ask(server, application_id, lambda reader: reader.sample(365))
    return found


def test_a_small_portfolio_is_looked_at_whole(shared_redis: RedisServer, application_id: str) -> None:
    """Every account once, each standing for itself."""
    found, accounts = sampled(shared_redis, application_id)

    assert accounts == len(found) == len(EVERYBODY)
    assert {one.account_id for one in found} == EVERYBODY
    assert {one.weight for one in found} == {1.0}


def test_of_a_large_one_the_largest_and_some_others(
    shared_redis: RedisServer, application_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accounts with the most revenue are all there; the others' weights make up for those that are not."""
    for name, value in {"WHOLE_MAX": 300, "LARGEST": 40, "DRAWN": 60, "DRAWN_OF_A_CELL_MIN": 1}.items():
        monkeypatch.setattr(sample, name, value)
    found, _ = sampled(shared_redis, application_id)
    largest = sorted(ROWS, key=lambda row: (minor(row.revenue) or 0, row.account_id), reverse=True)[:40]

    assert len({one.account_id for one in found}) == len(found) < 300
    weights = {one.account_id: one.weight for one in found}
    assert {weights[row.account_id] for row in largest} == {1.0}
    assert sum(weights.values()) == pytest.approx(len(EVERYBODY), abs=0.1)
    assert max(weights.values()) > 1


def test_where_the_time_ends_a_part_is_looked_at(
    shared_redis: RedisServer, application_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read until then stands for all, from every part of the portfolio."""
    monkeypatch.setattr(sample, "_AT_ONCE", 100)
    clock = iter([0.0, 1.0, 2.0, 99.0])
    monkeypatch.setattr("stream.serving.sample.monotonic", lambda: next(clock))
    found, accounts = sampled(shared_redis, application_id)

    assert len(found) == 200
    assert accounts == len(EVERYBODY)
    assert len({one.cell for one in found}) > 30


def test_a_trial_answers_with_its_limits(api: Api) -> None:
    """Counts before and after sum to all accounts, and what it cannot say is said."""
    asked = {"tiers": {"standard": {"enter": 1, "leave": 0}}, "weights": {"revenue": 90}}
    with api.client() as client:
        found = client.post("/what-if", json=asked).raise_for_status().json()

    assert found["whole"] is True
    assert sum(found["tiers_before"].values()) == sum(found["tiers_after"].values()) == len(EVERYBODY)
    assert {TrialLimit.NO_DWELL_HISTORY, TrialLimit.OTHER_POLICY} <= set(found["limits"])
    assert found["command"].startswith("account-health backtest")


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"tiers": {"key": {"enter": 10}}}, {"body.tiers.key", "body.tiers"}),
        ({"weights": {"revenue": -1}}, {"body.weights.revenue"}),
        (
            {"weights": dict.fromkeys(("revenue", "profit", "strategic", "potential", "relationship"), 0)},
            {"body.weights"},
        ),
        ({"vetoes": [{"name": "x", "measure": "score", "tier_max": "basic"}]}, {"body.vetoes.0"}),
        ({"window_days": [1]}, {"body"}),
    ],
    ids=["crossed bounds", "below 0", "no weight", "no bound", "not offered"],
)
def test_what_is_no_policy_is_refused(api: Api, asked: dict[str, Any], where: set[str]) -> None:
    """With 422, and the part that is wrong as it was sent."""
    with api.client() as client:
        problem = problem_of(client.post("/what-if", json=asked), 422, "invalid-request")

    assert {one["where"] for one in problem["errors"]} <= where


def test_a_reader_may_try_and_a_stranger_may_not(locked: Api) -> None:
    """It changes nothing, so that a key that may read is enough."""
    with locked.client() as stranger, locked.client(READ_KEY) as client:
        problem_of(stranger.post("/what-if", json={}), 401, "no-key")
        assert client.post("/what-if", json={}).status_code == 200


def test_a_trial_counts_as_ten_requests() -> None:
    """So a key that may ask twice a second may try twice in ten seconds."""
    settings = load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": KEYS["api_read_keys"]})
    admission = Admission(KeyRing(settings), 2, ServeMetrics())
    for _ in range(2):
        admission.admit(f"Bearer {READ_KEY}", Scope.READ, TRIAL_COST)

    with pytest.raises(ProblemError) as caught:
        admission.admit(f"Bearer {READ_KEY}", Scope.READ, TRIAL_COST)
    assert caught.value.status == 429


def test_trials_wait_for_each_other_and_not_for_long(
    shared_redis: RedisServer, application_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time; who would wait too long is told to come back."""
    monkeypatch.setattr("stream.serving.trying._WAIT_SECONDS", 0.01)

    async def run() -> Sequence[Any]:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            trials = Trials(ViewReader(client, application_id), None)
            return await asyncio.gather(*(trials.run(PolicyTrial()) for _ in range(2)), return_exceptions=True)

    # Whichever of them comes first.
    refused, answered = sorted(asyncio.run(run()), key=lambda one: isinstance(one, TrialResult))

    assert answered.accounts == len(EVERYBODY)
    assert isinstance(refused, TrialBusyError)
