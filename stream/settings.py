"""Settings: environment variables, checked as a whole before anything starts.

`load_settings` takes the environment as an argument and is pure but for secret files. The
description and the range of each field are its documentation: docs/configuration.md is generated
from them.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from models.fields import CurrencyCode
from models.policy import Policy, load_policy
from stream.environment import Rule, SettingsError, allowed_values, env_name, read
from stream.serving import settings as serving
from stream.serving.settings import ServingSettings, is_loopback
from stream.topics import DEFAULT_PREFIX, NAME_PATTERN, Retention, TopicNames

__all__ = [
    "RULES",
    "Settings",
    "SettingsError",
    "allowed",
    "effective",
    "env_name",
    "load_settings",
    "policy_of",
]

_MIB: Final = 1_048_576
_MS: Final = 1000
_PORT_MAX: Final = 65_535
_COMMITS_IN_TRANSACTION_TIMEOUT: Final = 5

_OTHERS: Final = frozenset({"ACCOUNT_HEALTH_DATA"})
"""Variables with our prefix that are not settings: where tests and benchmarks find their data."""

_NAME_ALLOWED: Final = "1 to 200 letters, digits, '.', '_' and '-'"
_ALLOWED: Final[dict[str, str]] = {
    "bootstrap_servers": "host:port, several with commas",
    "application_id": _NAME_ALLOWED,
    "instance_id": _NAME_ALLOWED,
    "topic_prefix": _NAME_ALLOWED,
    "input_topic_prefix": _NAME_ALLOWED,
    "policy_file": "a path",
    "cut_points_file": "a path",
    "churn_model_file": "a path",
    "destinations_file": "a path",
    "reporting_currency": "an ISO 4217 code in capitals, as EUR",
    **serving.ALLOWED,
}


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
            raise PydanticCustomError("servers", "Input should be host:port, several with commas")
    return value


def _name(value: str) -> str:
    if re.fullmatch(NAME_PATTERN, value) is None:
        raise PydanticCustomError("name", "Input should be letters, digits, '.', '_' and '-' only")
    return value


Servers = Annotated[str, AfterValidator(_servers)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]


class _WorkerSettings(BaseSettings):
    """The settings of a worker, and of the commands that talk to its Kafka."""

    bootstrap_servers: Servers = Field(
        "localhost:9092",
        description="Kafka brokers to begin with, as host:port, several with commas.",
    )
    application_id: Name = Field(
        "account-health",
        description="Consumer group, and the beginning of every transactional id. Workers with the"
        " same one share the work.",
    )
    instance_id: Name = Field(
        default_factory=socket.gethostname,
        description="Name of this worker among its peers. It must be unique, and the same again "
        "after a restart (the pod's name in a StatefulSet): a second worker with the "
        "same one fences the first. Default: the host's name.",
    )
    topic_prefix: Name = Field(DEFAULT_PREFIX, description="Beginning of every topic's name, its separator included.")
    input_topic_prefix: Name | None = Field(
        None,
        description="Beginning of the inputs' names, if it is another: a rebuild reads the inputs that are there, and"
        " keeps its state and outputs beside those of the application that it will replace.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=1000,
        description="Partitions of each topic, when it is made. Cannot be changed later without a "
        "rebuild, and bounds how many workers can share the work.",
    )
    replication_factor: int = Field(
        1,
        ge=1,
        le=9,
        description="Copies of each partition, when a topic is made. Use 3 in production.",
    )
    policy_file: Path | None = Field(
        None, description="The policy, a TOML file. A worker needs this or `REPORTING_CURRENCY`."
    )
    churn_model_file: Path | None = Field(
        None, description="The churn model, a JSON file of `account-health calibrate`. Default: the policy's rule."
    )
    reporting_currency: CurrencyCode | None = Field(
        None,
        description="ISO 4217 code. Without a policy file: the default policy in this currency.",
    )
    cut_points_file: Path | None = Field(
        None,
        description="Cut points that accounts are compared with for ever, a `cut-points.json` of a replay: for runs"
        " that must give the same results again. Default: the portfolio is counted, and new ones drawn, daily.",
    )
    census_interval_seconds: int = Field(
        10,
        ge=0,
        le=86_400,
        description="How long at least lies between two censuses, however fast days pass while history is read. A"
        " portfolio that has doubled does not wait.",
    )
    clock: Literal["live", "event"] = Field(
        "live",
        description="`live`: time passes as on the wall clock. `event`: time is the latest event "
        "of the partition, for replays and tests; only then is `clock.advanced` "
        "accepted.",
    )
    commit_interval_ms: int = Field(
        200,
        ge=10,
        le=10_000,
        description="How often the transaction commits: the delay that a subscriber sees, against "
        "commits of 10 to 20 ms each.",
    )
    catch_up_commit_interval_ms: int = Field(
        1000,
        ge=10,
        le=10_000,
        description="The same at most, while records wait: commits are as far apart as the next record is old, as an "
        "account with several events between two commits is written once.",
    )
    max_task_idle_ms: int = Field(
        30_000,
        ge=0,
        le=60_000,
        description="How long a partition waits for an input that has records not yet fetched, so "
        "that its inputs are merged by time.",
    )
    snapshot_interval_ms: int = Field(
        1000, ge=0, le=3_600_000, description="At most one snapshot of an account in this time."
    )
    future_tolerance_hours: int = Field(
        24,
        ge=0,
        le=87_600,
        description="An event dated further ahead of the wall clock is a dead letter.",
    )
    input_retention_days: int | None = Field(
        None,
        ge=7,
        le=36_500,
        description="How long orders and support events are kept, when the topics are made. "
        "Default: for ever, as a rebuild or an audit reads them again; profiles are "
        "compacted.",
    )
    output_retention_days: int = Field(
        30,
        ge=2,
        le=30,
        description="How long tier changes, churn risks and dead letters are kept. They cannot be "
        "erased by key: an erased account is gone from them after this.",
    )
    transaction_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        le=900_000,
        description="A transaction that is open for longer is aborted by the broker. After a crash"
        " it holds back readers, and whoever takes over, for as long. At least five "
        "times `COMMIT_INTERVAL_MS` and `CATCH_UP_COMMIT_INTERVAL_MS`.",
    )
    session_timeout_ms: int = Field(
        15_000,
        ge=6_000,
        le=300_000,
        description="A worker that is silent for longer loses its partitions: longer than a "
        "restart takes, so that a restart moves nothing; as long as an account may "
        "wait after a crash.",
    )
    max_poll_interval_ms: int = Field(
        60_000,
        ge=6_000,
        le=3_600_000,
        description="A worker that takes nothing from its queue for longer loses its partitions. "
        "At least `SESSION_TIMEOUT_MS`, and above `GRACE_PERIOD_SECONDS`.",
    )
    restore_deadline_seconds: int = Field(
        600,
        ge=10,
        le=86_400,
        description="A partition that is not restored in this time ends the worker.",
    )
    grace_period_seconds: int = Field(
        25,
        ge=1,
        le=600,
        description="Time to finish and commit after SIGTERM; below the supervisor's patience (30 s in Kubernetes).",
    )
    stuck_deadline_seconds: int = Field(
        120,
        ge=10,
        le=3_600,
        description="`/healthz` fails when records wait and none was committed for longer.",
    )
    batch_records: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Records of one partition that are processed at a time, at most.",
    )
    buffer_bytes: int = Field(
        8 * _MIB,
        ge=2 * _MIB,
        le=1024 * _MIB,
        description="Fetched and not yet processed bytes, for each input partition.",
    )
    http_host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=253,
        description="Address of `/healthz`, `/readyz` and `/metrics`. They ask for no password, so"
        " by default only this machine reaches them; the container image sets "
        "`0.0.0.0`.",
    )
    http_port: int = Field(8080, ge=0, le=_PORT_MAX, description="Port of the same; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line that is logged. No level logs what records hold."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for one object a line.")
    erasure_secret: SecretStr | None = Field(
        None,
        min_length=32,
        max_length=1000,
        description="Key of the HMACs by which erased accounts are remembered. Without one, whoever reads the state"
        " topic can guess which accounts they are. A worker refuses another one once an account was erased: it would"
        " no longer know it.",
    )
    destinations_file: Path | None = Field(
        None, description="Where `account-health deliver` delivers to, a TOML file; see `docs/delivery.md`."
    )
    embedded_broker: bool = Field(
        False,
        description="The broker is the demo's in-process one: it does not keep offsets that are "
        "committed in a transaction, so the checkpoint alone decides where to read on.",
    )

    @property
    def topics(self) -> TopicNames:
        """Full names of all topics."""
        return TopicNames(self.topic_prefix, self.input_topic_prefix)

    @property
    def retention(self) -> Retention:
        """How long topics keep their records."""
        return Retention(self.input_retention_days, self.output_retention_days)


class Settings(ServingSettings, _WorkerSettings):
    """All settings, in the order of the documentation: the worker's first."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is given: `load_settings` reads the environment, and reports all that is wrong with it."""
        return (init_settings,)


RULES: Final[tuple[Rule[Settings], ...]] = (
    Rule(
        ("max_poll_interval_ms", "session_timeout_ms"),
        lambda s: s.max_poll_interval_ms >= s.session_timeout_ms,
        "the first must not be below the second",
    ),
    Rule(
        ("max_poll_interval_ms", "grace_period_seconds"),
        # What a partition that is given back still has to commit is waited for between two polls.
        lambda s: s.max_poll_interval_ms > s.grace_period_seconds * _MS,
        "the first must be longer than the second",
    ),
    Rule(
        ("transaction_timeout_ms", "commit_interval_ms"),
        lambda s: s.transaction_timeout_ms >= _COMMITS_IN_TRANSACTION_TIMEOUT * s.commit_interval_ms,
        f"the first must be at least {_COMMITS_IN_TRANSACTION_TIMEOUT} times the second",
    ),
    Rule(
        ("transaction_timeout_ms", "catch_up_commit_interval_ms"),
        lambda s: s.transaction_timeout_ms >= _COMMITS_IN_TRANSACTION_TIMEOUT * s.catch_up_commit_interval_ms,
        f"the first must be at least {_COMMITS_IN_TRANSACTION_TIMEOUT} times the second",
    ),
    Rule(
        ("policy_file", "reporting_currency"),
        lambda s: s.policy_file is None or s.reporting_currency is None,
        "the policy file names the currency itself: set one of the two",
    ),
    Rule(
        ("redis_username", "redis_password"),
        lambda s: s.redis_username is None or s.redis_password is not None,
        "a user needs a password",
    ),
    Rule(
        ("api_host", "api_read_keys", "api_admin_keys"),
        lambda s: is_loopback(s.api_host) or s.api_read_keys is not None or s.api_admin_keys is not None,
        "without a key only this machine is served: set a key, or an address as 127.0.0.1",
    ),
    Rule(
        ("api_read_keys", "api_admin_keys"),
        # A session, and what is counted, is known by the name.
        lambda s: serving.are_apart(s.api_read_keys, s.api_admin_keys),
        "a name or a key of the one may not be in the other",
    ),
)
"""What must hold between settings."""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables `ACCOUNT_HEALTH_*`.

    An empty one counts as unset. A secret may also come from a file that `<name>_FILE` names.

    Raises:
        SettingsError: with every error, one a line: name, value (unless secret), what is allowed.
    """
    return read(Settings, environ, RULES, allowed, _OTHERS)


def policy_of(settings: Settings) -> Policy:
    """Return the policy of the file, or the default one in the reporting currency.

    Raises:
        SettingsError: if they name neither.
        PolicyError: if the file cannot be used, with every error.
    """
    if settings.policy_file is not None:
        return load_policy(settings.policy_file)
    if settings.reporting_currency is None:
        raise SettingsError(
            f"{env_name('policy_file')} or {env_name('reporting_currency')} must be set: "
            "a policy file, or an ISO 4217 code for the default policy"
        )
    return Policy(reporting_currency=settings.reporting_currency)


def effective(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each variable and the value in force, for a log; of a secret only whether it is set."""
    for field in Settings.model_fields:
        value = getattr(settings, field)
        match value:
            case None:
                yield env_name(field), "(not set)"
            case SecretStr():
                yield env_name(field), "(secret)"
            case bool():
                yield env_name(field), str(value).lower()
            case _:
                yield env_name(field), str(value)


def allowed(field: str) -> str:
    """Return what a field may be, for a person.

    >>> allowed("partitions"), allowed("clock"), allowed("embedded_broker")
    ('a whole number from 1 to 1000', 'live or event', 'true or false')
    """
    if field in _ALLOWED:
        return _ALLOWED[field]
    return allowed_values(Settings.model_fields[field])
