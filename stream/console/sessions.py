"""Sessions: who signed in with a key is known by a signed cookie, until it is too old or the key is gone.

The cookie holds the key's name and when it was given, and is signed with the key itself. So nothing is kept here,
several processes know the same sessions, a restart ends none, and to take a key away ends those it began.
"""

import hashlib
from typing import Final

from itsdangerous import BadSignature, TimestampSigner

from stream.serving.security import Principal, Scope
from stream.serving.settings import NamedKey, ServingSettings, read_keys

COOKIE: Final = "account-health-session"
SESSION_SECONDS: Final = 12 * 3600
_SALT: Final = "account-health console session"
_COOKIE_CHARACTERS_MAX: Final = 200


class Sessions:
    """Signs and reads cookies.

    >>> from stream.settings import load_settings
    >>> sessions = Sessions(load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": "ann:" + "k" * 32}))
    >>> cookie = sessions.begin(Principal("ann", Scope.READ))
    >>> sessions.principal(cookie)
    Principal(name='ann', scope=<Scope.READ: 'read'>)
    >>> sessions.principal(cookie[:-1]), sessions.principal(None), sessions.principal("ann")
    (None, None, None)
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._held: Final[dict[str, tuple[TimestampSigner, Principal]]] = {}
        for keys, scope in ((settings.api_read_keys, Scope.READ), (settings.api_admin_keys, Scope.ADMIN)):
            for one in read_keys(keys):
                self._held[one.name] = _signer(one), Principal(one.name, scope)

    def begin(self, principal: Principal) -> str:
        """Give the cookie of a session that begins now."""
        signer, _ = self._held[principal.name]
        return signer.sign(principal.name).decode()

    def principal(self, cookie: str | None) -> Principal | None:
        """Tell whose session a cookie is; None if it is none, or none any longer."""
        if cookie is None or len(cookie) > _COOKIE_CHARACTERS_MAX:
            return None
        name = cookie.rsplit(".", 2)[0]
        signer, principal = self._held.get(name, (None, None))
        if signer is None:
            return None
        try:
            signer.unsign(cookie, max_age=SESSION_SECONDS)
        except BadSignature:
            return None
        return principal


def _signer(key: NamedKey) -> TimestampSigner:
    return TimestampSigner(key.key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
