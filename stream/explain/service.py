"""A dossier from a running service: its API, asked with a key from the environment."""

from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from models.outputs import OutputEvent
from models.snapshots import Snapshot
from stream.explain.dossier import Dossier, DossierError, first_problem

_EVENTS: Final[TypeAdapter[list[OutputEvent]]] = TypeAdapter(list[OutputEvent])
_TIMEOUT_SECONDS: Final = 10.0
_BYTES_MAX: Final = 8 * 1_048_576
_DETAIL_CHARACTERS_MAX: Final = 200
_NOT_FOUND: Final = 404


def from_service(url: str, key: SecretStr | None, account_id: str) -> Dossier:
    """Ask a running service for an account.

    Args:
        url: of the service, as `https://health.example`; the key is sent to no other address.
        key: with the scope `read`; None where the service needs none.
        account_id: of the account.

    Raises:
        DossierError: if it cannot be asked, does not let us in, or has no such account.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise DossierError(f"--service {url}: should be a URL of http or https")
    headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
    address = f"{url.rstrip('/')}/api/v1/accounts/{quote(account_id, safe='')}"
    try:
        with httpx.stream("GET", address, headers=headers, timeout=_TIMEOUT_SECONDS) as response:
            content = b""
            for part in response.iter_bytes():
                content += part
                if len(content) > _BYTES_MAX:
                    raise DossierError(f"{url}: the answer is too long to be an account's")
    except httpx.HTTPError as error:
        raise DossierError(f"{url}: {str(error) or type(error).__name__}") from error
    if response.status_code == _NOT_FOUND:
        raise DossierError(f"{url}: no account {account_id!r}")
    if not response.is_success:
        raise DossierError(f"{url}: {response.status_code} {response.reason_phrase}{_detail(content)}")
    try:
        found = _DETAIL.validate_json(content)
        snapshot = Snapshot.model_validate(found["snapshot"])
        # Newest first, and only those that are still kept.
        changes = _EVENTS.validate_python(list(reversed(found["history"])))
    except KeyError as error:
        raise DossierError(f"{url}: the answer has no {error}") from error
    except ValidationError as error:
        raise DossierError(f"{url}: not of this release: {first_problem(error)}") from error
    return Dossier(snapshot, changes)


_DETAIL: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


def _detail(content: bytes) -> str:
    """Give what the service says for itself, if it does."""
    try:
        detail = _DETAIL.validate_json(content).get("detail", "")
    except ValidationError:
        return ""
    return f": {str(detail)[:_DETAIL_CHARACTERS_MAX]}" if detail else ""
