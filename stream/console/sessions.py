"""Sessions: who signed in with a key is known by a signed cookie, until it is too old, signed out, or the key is gone.

The cookie holds a number of its own, the key's name and when it was given, and is signed with the key itself. So no
session is kept anywhere: several processes know the same ones, a restart ends none, and to take a key away ends those
it began. What is kept, in Redis and as long as the cookie would be good for, is which ones were signed out.
"""

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from itsdangerous import BadSignature, TimestampSigner

from stream.serving.errors import ServingError
from stream.serving.reader import ViewReader
from stream.serving.security import Principal, Scope
from stream.serving.settings import NamedKey, ServingSettings, read_keys

_log = logging.getLogger(__name__)
COOKIE: Final = "account-health-session"
SESSION_SECONDS: Final = 12 * 3600
ENDED_MAX: Final = 10_000
"""Sessions that a process remembers as signed out without asking, at most, the latest."""
_SALT: Final = "account-health console session"
_COOKIE_CHARACTERS_MAX: Final = 200
_NUMBER_BYTES: Final = 12
_SIGNED_OUT: Final = "signed-out/"


class _Session(NamedTuple):
    number: str
    principal: Principal


class Sessions:
    """Signs and reads cookies.

    Args:
        settings: which name the keys.
        reader: of the view, beside which it is kept who signed out.

    >>> from stream.serving.services import Services
    >>> from stream.settings import load_settings
    >>> services = Services.of(load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": "ann:" + "k" * 32}))
    >>> sessions = Sessions(services.settings, services.reader)
    >>> cookie = sessions.begin(Principal("ann", Scope.READ))
    >>> sessions.principal(cookie)
    Principal(name='ann', scope=<Scope.READ: 'read'>)
    >>> sessions.principal(cookie[:-1]), sessions.principal(None), sessions.principal("ann")
    (None, None, None)
    """

    def __init__(self, settings: ServingSettings, reader: ViewReader) -> None:
        self._reader = reader
        self._ended: Final[OrderedDict[str, None]] = OrderedDict()
        self._untold: Final[set[str]] = set()
        """Those of them that Redis has not been told of."""
        self._held: Final[dict[str, tuple[TimestampSigner, Principal]]] = {}
        for keys, scope in ((settings.api_read_keys, Scope.READ), (settings.api_admin_keys, Scope.ADMIN)):
            for one in read_keys(keys):
                self._held[one.name] = _signer(one), Principal(one.name, scope)

    def begin(self, principal: Principal) -> str:
        """Give the cookie of a session that begins now."""
        signer, _ = self._held[principal.name]
        return signer.sign(f"{secrets.token_urlsafe(_NUMBER_BYTES)}.{principal.name}").decode()

    def principal(self, cookie: str | None) -> Principal | None:
        """Tell whose session a cookie is; None if it is none, or, as far as this process knows, none any longer."""
        session = self._session(cookie)
        return None if session is None or session.number in self._ended else session.principal

    async def end(self, cookie: str | None) -> None:
        """End a session in every browser and process that has its cookie.

        While Redis does not answer, this process alone knows of it, and tells it as soon as it can.
        """
        session = self._session(cookie)
        if session is not None:
            self._remember(session.number)
            self._untold.add(session.number)
            await self.look(())

    async def look(self, cookies: Iterable[str | None]) -> None:
        """Find out which of some sessions were ended in another process."""
        known = {one.number for one in map(self._session, cookies) if one is not None} - self._ended.keys()
        try:
            for number in list(self._untold):
                await self._reader.claim(_claim(number), SESSION_SECONDS)
                self._untold.discard(number)
            for name in await self._reader.claimed([_claim(number) for number in known]):
                self._remember(name.removeprefix(_SIGNED_OUT))
        except ServingError as error:
            _log.debug("who signed out elsewhere is not known: %s", error)

    def _remember(self, number: str) -> None:
        self._ended[number] = None
        if len(self._ended) > ENDED_MAX:
            self._untold.discard(self._ended.popitem(last=False)[0])

    def _session(self, cookie: str | None) -> _Session | None:
        if cookie is None or len(cookie) > _COOKIE_CHARACTERS_MAX:
            return None
        number, _, name = cookie.rsplit(".", 2)[0].partition(".")
        signer, principal = self._held.get(name, (None, None))
        if signer is None or principal is None:
            return None
        try:
            signer.unsign(cookie, max_age=SESSION_SECONDS)
        except BadSignature:
            return None
        return _Session(number, principal)


def _claim(number: str) -> str:
    return _SIGNED_OUT + number


def _signer(key: NamedKey) -> TimestampSigner:
    return TimestampSigner(key.key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
