"""From environment variables to a checked model, with every error at once.

Knows a pydantic model whose fields are the settings, and nothing of what they mean.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

ENV_PREFIX: Final = "ACCOUNT_HEALTH_"
FILE_SUFFIX: Final = "_FILE"
"""`<name>_FILE` names the file that holds a secret."""
_VALUE_CHARACTERS_MAX: Final = 100

# Kubernetes sets these in every pod of a namespace that has a service whose name begins like ours.
_KUBERNETES: Final = re.compile(
    r"""\w+ (?:
        _SERVICE_HOST = [0-9a-f:.]+
        | _SERVICE_PORT (?:_\w+)? = \d+
        | _PORT (?:_\d+_(?:TCP|UDP|SCTP))? = (?:tcp|udp|sctp)://.+
        | _PORT_\d+_(?:TCP|UDP|SCTP)_ (?: PROTO=[a-z]+ | PORT=\d+ | ADDR=[0-9a-f:.]+ )
    )""",
    re.VERBOSE,
)

ModelT = TypeVar("ModelT", bound=BaseSettings)


class SettingsError(ValueError):
    """Settings that cannot be used; the text lists every error, one a line."""


class Rule(NamedTuple, Generic[ModelT]):
    """What must hold between settings that are each in range."""

    fields: tuple[str, ...]
    holds: Callable[[ModelT], bool]
    demand: str


def read(
    model: type[ModelT],
    environ: Mapping[str, str],
    rules: Sequence[Rule[ModelT]],
    allowed: Callable[[str], str],
    ignored: Collection[str],
) -> ModelT:
    """Read a model from the variables that begin with `ENV_PREFIX`; an empty one counts as unset.

    Rules between settings are checked as well while others are wrong, on those that are right.
    `allowed` says what a field may be; variables of `ignored` are left alone.

    Raises:
        SettingsError: with every error, one a line: name, value (unless secret), what is allowed.
    """
    errors: list[str] = []
    values: dict[str, Any] = _Given(model, environ)()
    for name, value in sorted(environ.items()):
        if name.startswith(ENV_PREFIX) and value and name not in ignored:
            _take_other(model, name, value, values, errors)
    wrong = _wrong_fields(model, values)
    for field in model.model_fields:
        if field in wrong:
            value = values.pop(field)
            shown = "(secret)" if is_secret(model, field) else _shortened(value)
            errors.append(f"{env_name(field)} = {shown}: allowed is {allowed(field)}")
    settings = model.model_validate(values)
    for rule in rules:
        if wrong.isdisjoint(rule.fields) and not rule.holds(settings):
            pairs = [f"{env_name(one)} = {getattr(settings, one)}" for one in rule.fields]
            errors.append(f"{', '.join(pairs)}: {rule.demand}")
    if errors:
        raise SettingsError("\n".join(errors))
    return settings


def env_name(field: str) -> str:
    """Return the environment variable of a field.

    >>> env_name("http_port")
    'ACCOUNT_HEALTH_HTTP_PORT'
    """
    return ENV_PREFIX + field.upper()


def is_secret(model: type[BaseSettings], field: str) -> bool:
    """Return whether a field's value must never be shown."""
    return kind_of(model.model_fields[field]) is SecretStr


def kind_of(field: FieldInfo) -> Any:
    """Return a field's type without `| None` and without annotations."""
    kind: Any = field.annotation
    parts = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is not Literal and len(parts) == 1:
        kind = parts[0]
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def allowed_values(field: FieldInfo) -> str:
    """Return which values a field takes: a literal, a boolean, a bounded number or text."""
    kind = kind_of(field)
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number from {_bound(field, Ge, 'ge')} to {_bound(field, Le, 'le')}"
    least, most = _bound(field, MinLen, "min_length"), _bound(field, MaxLen, "max_length")
    return f"{least} to {most} characters"


def _bound(field: FieldInfo, bound: type, attribute: str) -> int:
    (value,) = (getattr(one, attribute) for one in field.metadata if isinstance(one, bound))
    return int(value)


class _Given(EnvSettingsSource):
    """Reads the fields from the environment that it is given, not from that of the process."""

    def __init__(self, model: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(model, env_prefix=ENV_PREFIX)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}


def _take_other(model: type[BaseSettings], name: str, value: str, values: dict[str, Any], errors: list[str]) -> None:
    """Take the file of a secret; refuse a name that is no setting."""
    field = name.removeprefix(ENV_PREFIX).lower()
    if field in model.model_fields:
        return
    secret = field.removesuffix(FILE_SUFFIX.lower())
    if secret != field and secret in model.model_fields and is_secret(model, secret):
        if secret in values:  # it was taken before, as its name is the shorter one
            errors.append(f"{name}: also given as {env_name(secret)}; set one of the two")
        try:
            values[secret] = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{name} = {_shortened(value)}: cannot be read: {type(error).__name__}")
        return
    if _KUBERNETES.fullmatch(f"{name}={value}"):
        return
    known = [env_name(one) for one in model.model_fields]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0)
    errors.append(f"{name}: no such setting; did you mean {close[0]}?")


def _wrong_fields(model: type[BaseSettings], values: Mapping[str, Any]) -> set[str]:
    try:
        model.model_validate(values)
    except ValidationError as error:
        return {str(one["loc"][0]) for one in error.errors(include_input=False)}
    return set()


def _shortened(value: str) -> str:
    if len(value) <= _VALUE_CHARACTERS_MAX:
        return value
    return value[: _VALUE_CHARACTERS_MAX - 1] + "…"
