"""What a comparison of two policies says, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from collections import Counter
from datetime import UTC, datetime, timedelta

from models.policy import Policy
from models.reasons import Outcome, RefusalReason
from processors.context import Context, date_of
from stream.backtest.comparison import Truth, compare, foretold
from stream.backtest.history import Alert, Health, History, Part, TierChange
from stream.replay import Summary
from tests.support.tables import Row, table

CONTEXT = Context(Policy(reporting_currency="EUR"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _alerts(text: str) -> list[Alert]:
    """Read churn events of account A, each as `level@day`."""
    found = []
    for word in filter(None, text.split()):
        level, _, day = word.partition("@")
        found.append(Alert("A", EPOCH + timedelta(days=int(day)), None, level))
    return found


@table("""
| case                                        | orders       | end | alerts                  | judged | right | departures | foretold | lead |
| nobody left, nobody said so                 | 0 10 20      | 25  |                         | 0      | 0     | 0          | 0        | -    |
| left, and foretold                          | 0 10         | 200 | high@40                 | 1      | 1     | 1          | 1        | 70   |
| left, and not foretold                      | 0 10         | 200 |                         | 0      | 0     | 1          | 0        | -    |
| a false alarm: it came back                 | 0 10 60      | 61  | high@40                 | 1      | 0     | 0          | 0        | -    |
| not known yet                               | 0 10         | 50  | high@40                 | 0      | 0     | 0          | 0        | -    |
| gone on the very day                        | 0 10         | 110 | high@40                 | 1      | 1     | 1          | 1        | 70   |
| the day before it is not known              | 0 10         | 109 | high@40                 | 0      | 0     | 0          | 0        | -    |
| a silence that ended just in time           | 0 10 109     | 109 | high@40                 | 1      | 0     | 0          | 0        | -    |
| an alert when it is gone already            | 0 10         | 200 | high@110                | 0      | 0     | 1          | 0        | -    |
| the last day that counts                    | 0 10         | 200 | high@109                | 1      | 1     | 1          | 1        | 1    |
| the first alert of a silence counts         | 0 10         | 200 | high@40 high@80         | 1      | 1     | 1          | 1        | 70   |
| each silence by itself                      | 0 10 150     | 300 | high@40 high@190        | 2      | 2     | 2          | 2        | 65   |
| the loss itself is no forecast              | 0 10         | 200 | lost@100                | 0      | 0     | 1          | 0        | -    |
| another level is not asked for              | 0 10         | 200 | medium@40               | 0      | 0     | 1          | 0        | -    |
| one order: no rhythm, nobody's failure      | 10           | 200 |                         | 0      | 0     | 0          | 0        | -    |
| an alert before the first order             | 10           | 200 | high@5                  | 0      | 0     | 0          | 0        | -    |
""")
def test_who_foretold_who_left(row: Row) -> None:
    """An account left when it was silent for 100 days; an alert of `high` before that foretold it."""
    days = [int(day) for day in row["orders"].split()]
    truth = Truth({"A": days}, int(row["end"]), left_after_days=100)

    found = foretold("high", _alerts(row["alerts"]), truth, CONTEXT)

    figures = (found.alerts, found.right, found.departures, found.foretold)
    assert figures == tuple(int(row[name]) for name in ("judged", "right", "departures", "foretold"))
    assert found.lead_days == (None if row["lead"] == "-" else float(row["lead"]))
    assert found.precision == (found.right / found.alerts if found.alerts else None)
    assert found.recall == (found.foretold / found.departures if found.departures else None)


def test_medium_includes_high() -> None:
    """An alert of `high` is one of `medium` or worse too."""
    truth = Truth({"A": [0, 10]}, 200, left_after_days=100)
    assert foretold("medium", _alerts("high@40"), truth, CONTEXT).foretold == 1


def _health(text: str) -> Health:
    """Read `tier score revenue-points confidence veto`."""
    tier, score, revenue, confidence, veto = text.split()
    parts = [Part("revenue", float(revenue)), Part("profit", float(score) - float(revenue))]
    return Health("A", "Ada", tier, float(score), float(confidence), None if veto == "-" else veto, parts)


def _history(text: str, alerts: str = "", flaps: int = 0) -> History:
    changes = [TierChange("A", EPOCH, None, "key", "time", flap=True)] * flaps
    accounts = {} if text == "-" else {"A": _health(text)}
    outcomes = Counter({Outcome.APPLIED: 5})
    refusals = Counter({RefusalReason.INVALID_FIELD: 2})
    nothing: Counter[str] = Counter()
    summary = Summary(outcomes, refusals, 3, Counter(), nothing, nothing, nothing, len(accounts), None, None)
    return History("v", accounts, changes, _alerts(alerts), summary)


@table("""
| case                           | old                      | new                      | moves                | why        | deltas                     |
| nothing is different           | key 80 50 0.5 -          | key 80 50 0.5 -          |                      |            |                            |
| another score, the same tier   | key 80 50 0.5 -          | key 82 52 0.5 -          |                      |            |                            |
| another score                  | key 80 50 0.5 -          | growth 60 30 0.5 -       | key > growth         | score      | revenue -20.0              |
| a bound alone                  | key 80 50 0.5 -          | growth 80 50 0.5 -       | key > growth         | bounds     |                            |
| confidence                     | key 80 50 0.5 -          | unrated 80 50 0.2 -      | key > unrated        | confidence |                            |
| unrated, and scored otherwise  | key 80 50 0.5 -          | unrated 81 51 0.2 -      | key > unrated        | confidence | revenue 1.0                |
| a limit of being unrated       | key 80 50 0.5 -          | unrated 79 49 0.5 -      | key > unrated        | bounds     | revenue -1.0               |
| too little known to be key     | key 80 50 0.5 -          | growth 81 51 0.4 -       | key > growth         | confidence | revenue 1.0                |
| better with fewer points       | growth 64 50 0.5 -       | key 63 49 0.5 -          | growth > key         | bounds     | revenue -1.0               |
| surer, which only key asks for | basic 26 10 0.5 -        | standard 26 10 0.6 -     | basic > standard     | bounds     |                            |
| a veto                         | key 80 50 0.5 -          | basic 80 50 0.5 loss     | key > basic          | veto       |                            |
| deltas that cancel out         | key 80 50 0.5 -          | growth 80 20 0.5 -       | key > growth         | bounds     | revenue -30.0, profit 30.0 |
| known under the new one only   | -                        | basic 10 10 0.5 -        | None > basic         | score      | revenue 10.0               |
""")
def test_who_moves_and_why(row: Row) -> None:
    """An account that ends in another tier is named with what is different, and deltas that sum to the score's."""
    comparison = compare(_history(row["old"]), _history(row["new"]), Truth({}, 0, 100), CONTEXT)

    assert ", ".join(f"{one.old_tier} > {one.new_tier}" for one in comparison.moves) == row["moves"]
    for move in comparison.moves:
        assert move.why == row["why"]
        assert ", ".join(f"{name} {delta}" for name, delta in move.deltas.items()) == row["deltas"]
        assert sum(move.deltas.values()) == (move.new_score or 0) - (move.old_score or 0)


def test_alerts_and_flaps_that_differ() -> None:
    """An alert is the same one if account, level and day are; changes that were undone are counted."""
    old = _history("key 80 50 0.5 -", "medium@10 high@20 lost@30", flaps=2)
    new = _history("key 80 50 0.5 -", "medium@10 high@21 lost@30", flaps=1)

    comparison = compare(old, new, Truth({}, 0, 100), CONTEXT)

    assert [(one.level, one.day) for one in comparison.alerts_only_old] == [("high", str(date_of(20)))]
    assert [(one.level, one.day) for one in comparison.alerts_only_new] == [("high", str(date_of(21)))]
    assert (comparison.old.flaps, comparison.new.flaps) == (2, 1)
    assert comparison.tier_matrix == [("key", "key", 1)]


def test_what_did_not_count_is_told() -> None:
    """Of each policy what a worker would refuse, and what is after the last day: else a comparison of little looks whole."""
    comparison = compare(_history("-"), _history("-"), Truth({}, 0, 100), CONTEXT)

    assert comparison.skipped == 3
    assert comparison.new.events == {"applied": 5}
    assert comparison.new.refused == {"invalid_field": 2}
