"""The policy: every error at once, and a version that is the hash of its meaning."""

# ruff: noqa: E501  # a row of a table is one line

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from models.policy import Policy, PolicyError, load_policy, read_policy
from tests.core.histories import policies
from tests.support.scenario import policy_of
from tests.support.tables import Row, table


@table("""
| case                                 | setting                        | value                        | allowed |
| an unknown setting                   | colour                         | "red"                        | Extra inputs are not permitted |
| an unknown setting of a section      | tiers.dwel_days                | 3                            | Extra inputs are not permitted: is dwell_days meant? |
| a currency of nobody                 | reporting_currency             | "EURO"                       | ISO 4217 |
| a time zone of nobody                | reporting_timezone             | "Mars/Base"                  | IANA time zone |
| a time zone that is a path           | reporting_timezone             | "../etc/passwd"              | IANA time zone |
| a region of time zones               | reporting_timezone             | "Europe"                     | IANA time zone |
| a time zone that is a number         | reporting_timezone             | 7                            | IANA time zone |
| a revision of 0                      | revision                       | 0                            | greater than or equal to 1 |
| no windows                           | window_days                    | []                           | at least 1 item |
| a window of no day                   | window_days                    | [0, 30]                      | greater than or equal to 1 |
| windows out of order                 | window_days                    | [90, 30, 365]                | window_days should ascend |
| a window twice                       | window_days                    | [30, 30, 365]                | window_days should ascend |
| support days beyond the horizon      | window_days                    | [30, 60]                     | support_days should not exceed |
| a rate of the reporting currency     | rates                          | {"EUR": [{"since": "2026-01-01", "rate": 1}]} | should have no rate |
| rates out of order                   | rates                          | {"USD": [{"since": "2026-01-02", "rate": 1}, {"since": "2026-01-01", "rate": 2}]} | ascend by `since` |
| a rate of nothing                    | rates                          | {"USD": [{"since": "2026-01-01", "rate": 0}]} | greater than 0 |
| an endless rate                      | rates                          | {"USD": [{"since": "2026-01-01", "rate": "inf"}]} | finite |
| a currency without rates             | rates                          | {"USD": []}                  | at least 1 item |
| a rate that is no list               | rates                          | {"USD": {}}                  | Input should be a list |
| no weight at all                     | scorecard.weights              | {"revenue": 0, "profit": 0, "strategic": 0, "potential": 0, "relationship": 0} | above 0 |
| a weight of a fraction               | scorecard.weights              | {"revenue": 0.5}             | valid integer |
| an unknown component                 | scorecard.weights              | {"frequency": 25}            | Extra inputs are not permitted |
| an unknown way with absent parts     | scorecard.missing              | "guess"                      | 'rescale' or 'zero' |
| growth over more than the horizon    | scorecard.growth_days          | 183                          | twice scorecard.growth_days should not exceed |
| no product line to sell              | scorecard.product_lines_target | 0                            | greater than or equal to 1 |
| more product lines than remembered   | scorecard.product_lines_target | 65                           | less than or equal to 64 |
| tenure at once                       | scorecard.tenure_years         | 0                            | greater than 0 |
| a rhythm of one gap                  | scorecard.regularity_days_min  | 2                            | greater than or equal to 3 |
| a scorecard for nobody               | scorecards                     | [{"name": "x", "weights": {}}] | segment, industry or region should be given |
| a scorecard without weights          | scorecards                     | [{"name": "x", "region": "EU"}] | Field required |
| a veto without a bound               | vetoes                         | [{"name": "x", "measure": "score", "tier_max": "basic"}] | either below or at_least |
| a veto with two bounds               | vetoes                         | [{"name": "x", "measure": "score", "below": 1, "at_least": 2, "tier_max": "basic"}] | either below or at_least |
| a veto of an unknown measure         | vetoes                         | [{"name": "x", "measure": "mood", "below": 1, "tier_max": "basic"}] | 'score' |
| a veto that changes nothing          | vetoes                         | [{"name": "x", "measure": "score", "below": 1, "tier_max": "key"}] | 'growth', 'standard' or 'basic' |
| a veto that is not a number          | vetoes                         | [{"name": "x", "measure": "score", "below": float("nan"), "tier_max": "basic"}] | finite |
| an action without a name             | actions                        | [{"name": ""}]               | at least 1 character |
| an action for an unknown reason      | actions                        | [{"name": "x", "reasons": ["weather"]}] | 'overdue' |
| penalties beyond the horizon         | support.days                   | 366                          | support.days should not exceed |
| a tier left above its entry          | tiers.key                      | {"enter": 75, "leave": 76}   | leave should not be above enter |
| tiers that do not descend            | tiers.growth                   | {"enter": 75, "leave": 45}   | should descend |
| tiers left in another order          | tiers.growth                   | {"enter": 74, "leave": 70}   | should descend |
| a share above 1                      | tiers.confidence_min           | 1.1                          | less than or equal to 1 |
| a score that is no number            | tiers.standard                 | {"enter": "nan", "leave": 1} | finite |
| levels out of order                  | churn.medium                   | 0.76                         | medium < high - hysteresis |
| a level that is certain              | churn.high                     | 1                            | high < 1 |
| a level within the hysteresis of 0   | churn.medium                   | 0.05                         | hysteresis < medium |
| a price of an unknown severity       | support.service_cost           | {"urgent": 1}                | 'low', 'medium', 'high' or 'critical' |
| a negative price                     | support.service_cost           | {"low": -1}                  | greater than or equal to 0 |
""")
def test_what_a_policy_may_not_be(row: Row) -> None:
    """Each setting that cannot be used is named with what is allowed."""
    source: dict[str, Any] = {"reporting_currency": "EUR"}
    *sections, name = row["setting"].split(".")
    place = source
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = eval(row["value"], {})  # noqa: S307  # the cells are written above

    with pytest.raises(PolicyError) as raised:
        read_policy(source)
    line = str(raised.value).splitlines()[0]
    assert line.startswith((*(".".join([*sections, name][:depth]) for depth in range(1, 4)), "policy"))
    assert row["allowed"] in line


def test_a_policy_without_hysteresis_of_the_levels() -> None:
    """The lowest hysteresis that the setting allows is allowed."""
    assert policy_of(churn={"hysteresis": 0}).churn.hysteresis == 0


def test_every_error_is_listed_at_once() -> None:
    """Errors of several sections are all told, one a line, each with its value."""
    source = {"reporting_timezone": "Mars", "tiers": {"dwell_days": -1, "x": 1}, "churn": {"margin": 2}, "a": 1}
    with pytest.raises(PolicyError) as raised:
        read_policy(source)

    places = sorted(line.split(" = ")[0] for line in str(raised.value).splitlines())
    assert places == ["a", "churn.margin", "reporting_currency", "reporting_timezone", "tiers.dwell_days", "tiers.x"]
    assert "tiers.dwell_days = -1: " in str(raised.value)


def test_a_long_value_is_cut() -> None:
    """An error is a line that can be read, however long the value."""
    with pytest.raises(PolicyError) as raised:
        read_policy({"reporting_currency": "E" * 10_000})

    assert len(str(raised.value)) < 300


@table("""
| case                     | one                                              | other                                             | same |
| another order of keys    | {"revision": 1, "window_days": [30, 365]}        | {"window_days": [30, 365], "revision": 1}         | yes  |
| another revision         | {"revision": 1}                                  | {"revision": 2}                                   | yes  |
| a default written out    | {}                                               | {"tiers": {"dwell_days": 30}}                     | yes  |
| a decimal with a zero    | {"support": {"service_cost": {"low": "1.1"}}}    | {"support": {"service_cost": {"low": "1.10"}}}    | yes  |
| a decimal as a number    | {"support": {"service_cost": {"low": "1.5"}}}    | {"support": {"service_cost": {"low": 1.5}}}       | yes  |
| a decimal with exponent  | {"support": {"service_cost": {"low": "100"}}}    | {"support": {"service_cost": {"low": "1e2"}}}     | yes  |
| a whole number           | {"tiers": {"key": {"enter": 80, "leave": 70}}}   | {"tiers": {"key": {"enter": 80.0, "leave": 70}}}  | yes  |
| order of severities      | {"support": {"service_cost": {"low": 1, "high": 2}}} | {"support": {"service_cost": {"high": 2, "low": 1}}} | yes |
| a rate with a zero       | {"rates": {"USD": [{"since": "2026-01-01", "rate": "0.90"}]}} | {"rates": {"USD": [{"since": "2026-01-01", "rate": "0.9"}]}} | yes |
| another bound            | {"tiers": {"key": {"enter": 80, "leave": 70}}}   | {"tiers": {"key": {"enter": 81, "leave": 70}}}    | no   |
| an action more           | {}                                               | {"actions": []}                                   | no   |
| another order of vetoes  | {"vetoes": [{"name": "a", "measure": "score", "below": 1, "tier_max": "basic"}, {"name": "b", "measure": "score", "below": 1, "tier_max": "basic"}]} | {"vetoes": [{"name": "b", "measure": "score", "below": 1, "tier_max": "basic"}, {"name": "a", "measure": "score", "below": 1, "tier_max": "basic"}]} | no |
| another zone             | {}                                               | {"reporting_timezone": "Europe/Berlin"}           | no   |
| another rate             | {"rates": {"USD": [{"since": "2026-01-01", "rate": "0.9"}]}} | {"rates": {"USD": [{"since": "2026-01-02", "rate": "0.9"}]}} | no |
""")
def test_the_version_is_the_hash_of_the_meaning(row: Row) -> None:
    """Policies that mean the same have the same version, and others another."""
    one, other = (policy_of(**eval(row[name], {})) for name in ("one", "other"))  # noqa: S307  # see above

    assert (one.version == other.version) == (row["same"] == "yes")


@given(policies())
def test_a_policy_that_is_written_and_read_is_the_same(policy: Policy) -> None:
    """A policy survives being written as JSON, with its version."""
    again = Policy.model_validate_json(policy.model_dump_json())

    assert again == policy
    assert again.version == policy.version
    assert len(policy.version) == 12


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    """A file that is absent, not text or not TOML is named in the error."""
    file = tmp_path / "policy.toml"
    with pytest.raises(PolicyError, match=r"policy\.toml: No such file"):
        load_policy(file)
    for content in (b"\xff", b"revision = ", b"a = 1\na = 2\n"):
        file.write_bytes(content)
        with pytest.raises(PolicyError, match=r"policy\.toml: not TOML"):
            load_policy(file)
    file.write_text('reporting_currency = "EUR"\n[tiers]\ndwell_days = 7\n')
    assert load_policy(file) == policy_of(tiers={"dwell_days": 7})
