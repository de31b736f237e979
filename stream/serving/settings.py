"""Settings of the Redis view and of the API."""

import ipaddress
import re
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

KEYS_ALLOWED: Final = (
    "name:key, several with commas or on lines of their own; names of 1 to 50 letters, digits, '.', '_' and '-', keys"
    " of 32 to 200 letters, digits and '-._~+/='"
)
ALLOWED: Final = {
    "redis_url": "a URL redis://host:port/database, rediss:// with TLS, or unix:///path, without a password",
    "api_read_keys": KEYS_ALLOWED,
    "api_admin_keys": KEYS_ALLOWED,
}
"""What a field may be, where its range does not say it."""
_PORT_MAX: Final = 65_535
_KEY: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,50}):(?P<key>[A-Za-z0-9._~+/=-]{32,200})")
_KEYS_MAX: Final = 100


class NamedKey(NamedTuple):
    """An API key, and what it is called wherever it must not be shown."""

    name: str
    key: str


def read_keys(text: SecretStr | None) -> tuple[NamedKey, ...]:
    """Read API keys.

    Raises:
        ValueError: if one of them is none, or a name or key is there twice.

    >>> read_keys(SecretStr("crm:" + "k" * 32))[0].name
    'crm'
    """
    words = [] if text is None else re.split(r"[,\s]+", text.get_secret_value().strip(", \t\r\n"))
    matches = [_KEY.fullmatch(word) for word in words]
    found = tuple(NamedKey(match["name"], match["key"]) for match in matches if match is not None)
    unique = len({one.name for one in found}) == len({one.key for one in found}) == len(words)
    if len(found) != len(words) or not unique or len(words) > _KEYS_MAX:
        raise ValueError(KEYS_ALLOWED)
    return found


def are_apart(some: SecretStr | None, others: SecretStr | None) -> bool:
    """Tell whether two lists of keys have neither a name nor a key in common.

    >>> are_apart(SecretStr("crm:" + "k" * 32), SecretStr("crm:" + "a" * 32))
    False
    """
    first, second = ({word for one in read_keys(text) for word in one} for text in (some, others))
    return first.isdisjoint(second)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("example.com")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _keys(value: SecretStr) -> SecretStr:
    try:
        read_keys(value)
    except ValueError:
        raise PydanticCustomError("api_keys", "Input should be API keys") from None
    return value


def _redis_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port, password = parts.port, parts.password
    except ValueError:
        raise PydanticCustomError("redis_url", "Input should be a URL of Redis") from None
    remote = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and port != 0
    local = parts.scheme == "unix" and bool(parts.path)
    if not (remote or local) or password is not None or parts.query:
        raise PydanticCustomError("redis_url", "Input should be a URL of Redis")
    return value


class ServingSettings(BaseSettings):
    """What the processes beside the worker need to know."""

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        "redis://localhost:6379/0",
        description="The Redis of the view. The worker does not know it; `account-health view` writes it and"
        " `account-health serve` reads it.",
    )
    redis_username: str | None = Field(
        None, min_length=1, max_length=200, description="User of Redis, where it has users; needs `REDIS_PASSWORD`."
    )
    redis_password: SecretStr | None = Field(None, min_length=1, max_length=1000, description="Password of Redis.")
    redis_timeout_ms: int = Field(
        2000,
        ge=50,
        le=60_000,
        description="Redis has as long to accept a connection, and to answer a request of the API. A batch of the view"
        " may take five times as long.",
    )
    embedded_redis: bool = Field(
        False,
        description="The Redis is the demo's stand-in: it keeps nothing, knows no memory limit, and is slow. Whatever"
        " reads or writes the view says so when it starts.",
    )
    view_changes_kept: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        description="Changes that can be asked for by cursor, the latest of all accounts.",
    )
    api_host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=253,
        description="Address of the API. Another one than this machine's own needs keys.",
    )
    api_port: int = Field(8000, ge=0, le=_PORT_MAX, description="Port of the same; 0 takes a free one.")
    api_read_keys: Annotated[SecretStr, AfterValidator(_keys)] | None = Field(
        None,
        description="Keys that may read, each with a name for logs and limits. Without any key only this machine is"
        " served, and may do everything.",
    )
    api_admin_keys: Annotated[SecretStr, AfterValidator(_keys)] | None = Field(
        None, description="Keys that may read and change."
    )
    service_key: SecretStr | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Key with which `account-health explain --service` asks a running service.",
    )
    api_requests_per_second: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Requests of one key that are answered in a second, at most, counted over ten seconds; without keys"
        " those of everybody together.",
    )
    api_live_clients: int = Field(
        100, ge=1, le=10_000, description="Connections to the stream of changes that one process holds, at most."
    )
    console: bool = Field(
        True,
        description="Whether `account-health serve` has pages for people too, under `/console`, on the API's port. Who"
        " may do what is as it is with the API.",
    )
    console_pages: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Pages that are open at once in one process, at most; more are refused. One takes up to 2 MB.",
    )
