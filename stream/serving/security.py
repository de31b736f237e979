"""Who may ask: API keys with scopes, compared in constant time; without any key, this machine alone."""

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from stream.serving.settings import ServingSettings, is_loopback, read_keys

_BEARER: Final = "bearer "


@unique
class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    ADMIN = "admin"
    """Read, and change profiles."""


class Principal(NamedTuple):
    """Who asks."""

    name: str
    """What the key is called."""
    scope: Scope


LOCAL: Final = Principal("local", Scope.ADMIN)
"""Whoever works on this machine, where no key is set."""


class KeyRing:
    """The keys that are let in.

    >>> from stream.settings import load_settings
    >>> ring = KeyRing(load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": "crm:" + "k" * 32}))
    >>> ring.principal("Bearer " + "k" * 32)
    Principal(name='crm', scope=<Scope.READ: 'read'>)
    >>> ring.principal("Bearer " + "x" * 32), ring.principal(None)
    (None, None)
    """

    def __init__(self, settings: ServingSettings) -> None:
        named = [
            *((one, Scope.ADMIN) for one in read_keys(settings.api_admin_keys)),
            *((one, Scope.READ) for one in read_keys(settings.api_read_keys)),
        ]
        self._held: Final = [(_digest(key.key), Principal(key.name, scope)) for key, scope in named]

    @property
    def is_empty(self) -> bool:
        """Whether no key is set, so that only this machine is served, and needs none."""
        return not self._held

    def principal(self, authorization: str | None) -> Principal | None:
        """Tell who sent an `Authorization` header; None if nobody who is let in.

        Every key is compared, and each in a time that does not tell how much of it was right.
        """
        if self.is_empty:
            return LOCAL
        text = authorization or ""
        given = _digest(text[len(_BEARER) :].strip() if text.lower().startswith(_BEARER) else "")
        found = None
        for digest, principal in self._held:
            if hmac.compare_digest(digest, given) and found is None:
                found = principal
        return found


def is_local_request(headers: Mapping[str, str]) -> bool:
    """Tell whether a request was meant for this machine by somebody on it.

    A page of somebody else's in a browser on this machine reaches its own address too: by a name that it made to
    resolve to it, which the header `Host` shows, or across origins, which `Origin` does.

    >>> is_local_request({"host": "localhost:8000"}), is_local_request({"host": "evil.example:8000"})
    (True, False)
    >>> is_local_request({"host": "localhost:8000", "origin": "https://evil.example"})
    False
    >>> is_local_request({"host": "localhost:8000", "origin": "http://["})
    False
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if not is_loopback(_hostname(f"//{host}")):
        return False
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    """Give what is compared: of one length, whatever the key's."""
    return hashlib.sha256(key.encode()).digest()
