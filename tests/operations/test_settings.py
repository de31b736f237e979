"""Settings: every error at once, nothing mistyped is passed over, no secret is shown."""

from pathlib import Path

import pytest

from models.policy import PolicyError
from stream.settings import Settings, SettingsError, effective, load_settings, policy_of

SECRET = "correct-horse-battery-staple-correct-horse"


def _errors(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return str(caught.value).splitlines()


def test_nothing_set_gives_the_defaults() -> None:
    """An empty environment is valid, and so is one with empty variables."""
    settings = load_settings({"ACCOUNT_HEALTH_PARTITIONS": "", "PATH": "/bin"})

    assert (settings.partitions, settings.topics.orders) == (4, "account-health.orders")


def test_every_error_is_listed_at_once() -> None:
    """Each wrong variable has a line with its name, its value and what is allowed."""
    errors = _errors(
        {
            "ACCOUNT_HEALTH_PARTITIONS": "many",
            "ACCOUNT_HEALTH_CLOCK": "sundial",
            "ACCOUNT_HEALTH_REPORTING_CURRENCY": "eur",
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "kafka",
            "ACCOUNT_HEALTH_TOPIC_PREFIX": "sales/",
        }
    )

    assert errors == [
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS = kafka: allowed is host:port, several with commas",
        "ACCOUNT_HEALTH_TOPIC_PREFIX = sales/: allowed is 1 to 200 letters, digits, '.', '_' and '-'",
        "ACCOUNT_HEALTH_PARTITIONS = many: allowed is a whole number from 1 to 1000",
        "ACCOUNT_HEALTH_REPORTING_CURRENCY = eur: allowed is an ISO 4217 code in capitals, as EUR",
        "ACCOUNT_HEALTH_CLOCK = sundial: allowed is live or event",
    ]


def test_settings_that_contradict_each_other_are_found_beside_wrong_ones() -> None:
    """A rule between two settings is checked although a third one is wrong."""
    errors = _errors(
        {
            "ACCOUNT_HEALTH_PARTITIONS": "0",
            "ACCOUNT_HEALTH_COMMIT_INTERVAL_MS": "5000",
            "ACCOUNT_HEALTH_TRANSACTION_TIMEOUT_MS": "10000",
        }
    )

    assert len(errors) == 2
    assert "at least 5 times" in errors[1]


def test_polling_may_pause_for_longer_than_the_grace_period() -> None:
    """A partition that is given back within the grace period does not cost the worker its others."""
    environ = {"ACCOUNT_HEALTH_MAX_POLL_INTERVAL_MS": "60000", "ACCOUNT_HEALTH_GRACE_PERIOD_SECONDS": "59"}

    assert load_settings(environ).grace_period_seconds == 59
    (error,) = _errors({**environ, "ACCOUNT_HEALTH_GRACE_PERIOD_SECONDS": "60"})
    assert "the first must be longer than the second" in error


def test_a_rule_is_not_judged_by_a_default_in_place_of_a_wrong_value() -> None:
    """A value that is wrong in itself is not also said to contradict another."""
    errors = _errors(
        {
            "ACCOUNT_HEALTH_TRANSACTION_TIMEOUT_MS": "soon",
            "ACCOUNT_HEALTH_COMMIT_INTERVAL_MS": "9000",
        }
    )

    assert len(errors) == 1


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("ACCOUNT_HEALTH_PARTITION", "ACCOUNT_HEALTH_PARTITIONS"),
        ("ACCOUNT_HEALTH_HTPP_PORT", "ACCOUNT_HEALTH_HTTP_PORT"),
        ("ACCOUNT_HEALTH_LOGLEVEL", "ACCOUNT_HEALTH_LOG_LEVEL"),
    ],
)
def test_a_mistyped_name_is_refused_with_the_closest_one(mistyped: str, meant: str) -> None:
    """A variable with our prefix that is no setting is an error, and never shows its value."""
    assert _errors({mistyped: "1234"}) == [f"{mistyped}: no such setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCOUNT_HEALTH_PORT", "tcp://10.0.0.1:8080"),
        ("ACCOUNT_HEALTH_SERVICE_HOST", "10.0.0.1"),
        ("ACCOUNT_HEALTH_SERVICE_PORT_HTTP", "8080"),
        ("ACCOUNT_HEALTH_CONSOLE_PORT_8080_TCP_PROTO", "tcp"),
    ],
)
def test_variables_that_kubernetes_makes_for_a_service_are_left_alone(name: str, value: str) -> None:
    """A service named account-health in the namespace does not keep the worker from starting."""
    assert load_settings({name: value}) == load_settings({})


def test_a_secret_is_never_shown() -> None:
    """Neither an error, nor the effective settings, nor the object itself shows a secret."""
    settings = load_settings({"ACCOUNT_HEALTH_ERASURE_SECRET": SECRET})
    (error,) = _errors({"ACCOUNT_HEALTH_ERASURE_SECRET": "tooshort"})

    assert settings.erasure_secret is not None
    assert settings.erasure_secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(dict(effective(settings)))
    assert error == "ACCOUNT_HEALTH_ERASURE_SECRET = (secret): allowed is 32 to 1000 characters"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """The file's content counts, without the line end that editors add."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")

    settings = load_settings({"ACCOUNT_HEALTH_ERASURE_SECRET_FILE": str(file)})

    assert settings.erasure_secret is not None
    assert settings.erasure_secret.get_secret_value() == SECRET


def test_a_secret_file_that_is_missing_or_one_of_two_is_an_error(tmp_path: Path) -> None:
    """A secret given twice, or from a file that cannot be read, is refused without its value."""
    errors = _errors(
        {
            "ACCOUNT_HEALTH_ERASURE_SECRET": SECRET,
            "ACCOUNT_HEALTH_ERASURE_SECRET_FILE": str(tmp_path / "none"),
        }
    )

    assert len(errors) == 2
    assert SECRET not in "\n".join(errors)


def test_the_effective_settings_name_every_variable() -> None:
    """What is logged at the start has one entry a setting."""
    assert len(dict(effective(load_settings({})))) == len(Settings.model_fields)


def test_the_policy_comes_from_the_file_or_from_a_currency(tmp_path: Path) -> None:
    """A file is read; a currency gives the default policy; neither of both is an error."""
    file = tmp_path / "policy.toml"
    file.write_text('revision = 7\nreporting_currency = "CHF"\n')
    from_file = policy_of(load_settings({"ACCOUNT_HEALTH_POLICY_FILE": str(file)}))
    from_currency = policy_of(load_settings({"ACCOUNT_HEALTH_REPORTING_CURRENCY": "JPY"}))

    assert (from_file.revision, from_file.reporting_currency) == (7, "CHF")
    assert from_currency.reporting_currency == "JPY"
    with pytest.raises(SettingsError, match="ACCOUNT_HEALTH_POLICY_FILE or"):
        policy_of(load_settings({}))
    with pytest.raises(PolicyError):
        policy_of(load_settings({"ACCOUNT_HEALTH_POLICY_FILE": str(tmp_path / "none.toml")}))
