"""The destinations: a TOML file, checked as a whole, every error at once.

Secrets are named in it, never held: each is a variable of the environment or a file.
"""

import base64
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from stream.delivery import paths
from stream.environment import ENV_PREFIX

EventType = Literal["account.tier_changed", "account.churn_risk_changed", "account.lost", "account.recovered"]
ALL_TYPES: Final[tuple[EventType, ...]] = (
    "account.tier_changed",
    "account.churn_risk_changed",
    "account.lost",
    "account.recovered",
)
DESTINATIONS_MAX: Final = 20
SIGNING_KEY_BYTES: Final = range(24, 65)
"""Lengths of a signing key, by Standard Webhooks."""
_SECRET_CHARACTERS_MAX: Final = 8192
_VALUE_CHARACTERS_MAX: Final = 100
_LOOPBACK: Final = ("localhost", "::1")
_PRESETS: Final = ("webhook", "hubspot", "salesforce", "zoho")
_SECRETS: Final = frozenset({"secret", "previous_secret", "token", "client_id", "client_secret", "refresh_token"})


class DestinationsError(ValueError):
    """Destinations that cannot be used; the text lists every error, one a line."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


def _is_variable(name: str) -> str:
    if name.startswith(ENV_PREFIX):
        raise PydanticCustomError("variable", f"Input should not begin with {ENV_PREFIX}: those are settings")
    return name


class Secret(_Section):
    """Where a secret is: `{ env = "NAME" }` or `{ file = "/path" }`."""

    env: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_variable)] | None = None
    file: Path | None = None

    _value: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        if (self.env is None) is (self.file is None):
            raise PydanticCustomError("secret", "Input should have one of env and file")
        environ: Mapping[str, str] = (info.context or {}).get("environ", {})
        if self.env is not None:
            value = environ.get(self.env, "")
            if not value:
                raise PydanticCustomError("secret", f"The variable {self.env} is not set")
        else:
            assert self.file is not None
            try:
                value = self.file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise PydanticCustomError(
                    "secret", f"The file {self.file} cannot be read: {type(error).__name__}"
                ) from None
        if not 0 < len(value) <= _SECRET_CHARACTERS_MAX or not value.isascii() or not value.isprintable():
            raise PydanticCustomError(
                "secret", f"The secret should be 1 to {_SECRET_CHARACTERS_MAX} printable characters of ASCII"
            )
        self._value = SecretStr(value)
        return self

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value.get_secret_value()


def _is_signing_key(secret: Secret) -> Secret:
    try:
        key = base64.b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) not in SIGNING_KEY_BYTES:
        raise PydanticCustomError(
            "signing_key", "The secret should be whsec_ and 24 to 64 random bytes in base64, as Standard Webhooks asks"
        )
    return secret


def _is_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.fragment or not value.isascii() or not value.isprintable():
        raise PydanticCustomError("address", "Input should be as https://host/path, without a name or password")
    return value.rstrip("/") if parts.path in {"", "/"} and not parts.query else value


Address = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True), AfterValidator(_is_address)]
SigningKey = Annotated[Secret, AfterValidator(_is_signing_key)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def is_loopback(parts: SplitResult) -> bool:
    """Return whether an address never leaves this machine.

    >>> is_loopback(urlsplit("http://127.0.0.1:8000/hook")), is_loopback(urlsplit("http://127.0.0.1.example.com/"))
    (True, False)
    """
    host = parts.hostname or ""
    octets = host.split(".")
    return host in _LOOPBACK or (octets[0] == "127" and len(octets) == 4 and all(one.isdecimal() for one in octets))  # noqa: PLR2004  # of an IPv4 address


def _are_paths(fields: dict[str, str], types: Sequence[EventType]) -> dict[str, str]:
    found = [(f"{name} = {path}", paths.problem(path, one)) for name, path in fields.items() for one in types]
    wrong = dict.fromkeys(f"{where}: {problem}" for where, problem in found if problem is not None)
    if wrong:
        raise PydanticCustomError("paths", "{problems}", {"problems": "; ".join(wrong)})
    return fields


TierFields = Annotated[dict[FieldName, str], AfterValidator(lambda fields: _are_paths(fields, ALL_TYPES[:1]))]
ChurnFields = Annotated[dict[FieldName, str], AfterValidator(lambda fields: _are_paths(fields, ALL_TYPES[1:]))]


class Common(_Section):
    """What every destination has."""

    events: Annotated[tuple[EventType, ...], Field(min_length=1, max_length=len(ALL_TYPES))] = ALL_TYPES
    """Types of event that it is sent."""
    timeout_seconds: Annotated[Seconds, Field(le=120)] = 10
    """For one request as a whole, from connecting to the end of the answer."""
    parallel_accounts: Annotated[int, Field(ge=1, le=64)] = 8
    """Requests at a time, each of another account."""
    attempts_max: Annotated[int, Field(ge=1, le=100)] = 8
    """Attempts at one event while the destination accepts others; then it is a failure."""
    give_up_seconds: Annotated[Seconds, Field(le=30 * 86_400)] = 86_400
    """How long the destination may accept nothing before events become failures."""
    backoff_seconds_max: Annotated[Seconds, Field(le=3_600)] = 60
    """Longest pause between two attempts, unless the destination asks for a longer one."""
    ca_file: Path | None = None
    """Certificates to trust, in PEM, instead of the public ones."""
    plain_http: bool = False
    """Whether addresses may begin with http://, within a network that is trusted; this machine's own always may."""

    @field_validator("ca_file")
    @classmethod
    def _can_be_read(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise PydanticCustomError("file", "Input should be a file that can be read")
        return value

    @field_validator("url", "base_url", "instance_url", "api_domain", "accounts_url", check_fields=False)
    @classmethod
    def _is_private(cls, value: str, info: ValidationInfo) -> str:
        parts = urlsplit(value)
        if parts.scheme == "http" and not info.data.get("plain_http") and not is_loopback(parts):
            raise PydanticCustomError("plain_http", "Input should begin with https://, or plain_http be true")
        return value

    def secrets(self) -> Iterator[str]:
        """Yield every secret, to be hidden where a request is shown."""
        yield from (value.reveal() for value in dict(self).values() if isinstance(value, Secret))


class WebhookDestination(Common):
    """A receiver of signed webhooks, by Standard Webhooks; the body is the event in CloudEvents' JSON format."""

    preset: Literal["webhook"]
    url: Address
    """Where events are posted to."""
    secret: SigningKey
    """Key of the signature."""
    previous_secret: SigningKey | None = None
    """A second key to sign with, while the receiver changes from it to the first."""


class HubSpotDestination(Common):
    """Companies of HubSpot, found by a property with unique values."""

    preset: Literal["hubspot"]
    token: Secret
    """Access token of a private app with the scope `crm.objects.companies.write`."""
    id_property: FieldName = "account_id"
    """The property with unique values that holds our account's id."""
    create_missing: bool = False
    """Whether a company that is not there is made."""
    api_version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")] = "2026-03"
    """Of the CRM API, as a date."""
    base_url: Address = "https://api.hubapi.com"
    """Where the API is."""
    tier_fields: TierFields = {
        "account_health_tier": "tier",
        "account_health_score": "score",
        "account_health_cause": "cause",
        "account_health_changed_at": "occurred_at",
    }
    """Properties that a tier change sets, and where their values stand in it."""
    churn_fields: ChurnFields = {
        "account_churn_level": "level",
        "account_churn_risk": "risk",
        "account_churn_reasons": "reasons",
        "account_value_at_stake": "value_at_stake",
    }
    """Properties that a churn event sets, and where their values stand in it."""


class SalesforceDestination(Common):
    """Accounts of Salesforce, found by an external id."""

    preset: Literal["salesforce"]
    instance_url: Address
    """Of the organisation, as https://MyDomain.my.salesforce.com."""
    client_id: Secret
    """Consumer key of a connected app with the client-credentials flow."""
    client_secret: Secret
    """Its consumer secret."""
    object: FieldName = "Account"
    """API name of the records' object."""
    id_field: FieldName = "Account_Health_Id__c"
    """The external id field that holds our account's id."""
    create_missing: bool = False
    """Whether a record that is not there is made, which its mandatory fields have to allow."""
    api_version: Annotated[str, StringConstraints(pattern=r"^v\d{2,3}\.0$")] = "v64.0"
    """Of the REST API."""
    tier_fields: TierFields = {
        "Account_Health_Tier__c": "tier",
        "Account_Health_Score__c": "score",
        "Account_Health_Cause__c": "cause",
        "Account_Health_Changed_At__c": "occurred_at",
    }
    """Fields that a tier change sets, and where their values stand in it."""
    churn_fields: ChurnFields = {
        "Account_Churn_Level__c": "level",
        "Account_Churn_Risk__c": "risk",
        "Account_Churn_Reasons__c": "reasons",
        "Account_Value_At_Stake__c": "value_at_stake",
    }
    """Fields that a churn event sets, and where their values stand in it."""


class ZohoDestination(Common):
    """Accounts of Zoho CRM, found by a field without duplicates."""

    preset: Literal["zoho"]
    client_id: Secret
    """Of the API client."""
    client_secret: Secret
    """Of the API client."""
    refresh_token: Secret
    """Granted with the scope `ZohoCRM.modules.accounts.ALL`."""
    api_domain: Address = "https://www.zohoapis.com"
    """Of the data centre, as https://www.zohoapis.eu."""
    accounts_url: Address = "https://accounts.zoho.com"
    """Of the same data centre, as https://accounts.zoho.eu."""
    module: FieldName = "Accounts"
    """API name of the records' module."""
    id_field: FieldName = "Account_Health_Id"
    """The field without duplicates that holds our account's id."""
    api_version: Annotated[str, StringConstraints(pattern=r"^v\d{1,2}$")] = "v8"
    """Of the REST API."""
    tier_fields: TierFields = {
        "Account_Health_Tier": "tier",
        "Account_Health_Score": "score",
        "Account_Health_Cause": "cause",
        "Account_Health_Changed_At": "occurred_at",
    }
    """Fields that a tier change sets, and where their values stand in it."""
    churn_fields: ChurnFields = {
        "Account_Churn_Level": "level",
        "Account_Churn_Risk": "risk",
        "Account_Churn_Reasons": "reasons",
        "Account_Value_At_Stake": "value_at_stake",
    }
    """Fields that a churn event sets, and where their values stand in it."""


Destination = WebhookDestination | HubSpotDestination | SalesforceDestination | ZohoDestination
CrmDestination = HubSpotDestination | SalesforceDestination | ZohoDestination
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Of a destination: it is part of a consumer group's name and a label of metrics."""


class _File(_Section):
    destinations: Annotated[
        dict[Name, Annotated[Destination, Field(discriminator="preset")]],
        Field(min_length=1, max_length=DESTINATIONS_MAX),
    ]


_FILE: Final = TypeAdapter(_File)


def load_destinations(path: Path, environ: Mapping[str, str]) -> dict[str, Destination]:
    """Read the destinations by name, with their secrets.

    Raises:
        DestinationsError: with every error, one a line: place, value (unless secret), what is wrong with it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DestinationsError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DestinationsError(f"{path}: not TOML: {error}") from error
    try:
        return _FILE.validate_python(content, context={"environ": environ}).destinations
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise DestinationsError("\n".join(f"{path}: {_line(one, content)}" for one in found)) from None


def _line(error: Any, content: Any) -> str:
    """Say where, which value, and what is wrong with it; the preset is no part of the place."""
    found: Any = content
    place: list[str] = []
    for part in error["loc"]:
        if (isinstance(found, Mapping) and part in found) or (isinstance(found, list) and isinstance(part, int)):
            found = found[part]
        elif part in {"[key]", *_PRESETS}:
            continue
        else:
            found = None
        place.append(str(part))
    where, message = ".".join(place) or "the file", str(error["msg"])
    # What is wrong may be that a secret was written here.
    if error["type"] == "extra_forbidden" or _SECRETS & set(place) or not isinstance(found, bool | int | float | str):
        return f"{where}: {message}"
    text = repr(found)
    if "@" in text:
        return f"{where}: {message}"
    shown = text if len(text) <= _VALUE_CHARACTERS_MAX else text[: _VALUE_CHARACTERS_MAX - 1] + "…"
    return f"{where} = {shown}: {message}"
