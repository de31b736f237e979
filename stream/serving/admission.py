"""Who is let in to a route, and how often."""

import math
import time
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from stream.serving.problems import ProblemError
from stream.serving.security import KeyRing, Principal, Scope
from stream.serving.telemetry import Denial, ServeMetrics

_WINDOW_SECONDS: Final = 10
_STRANGERS_PER_SECOND: Final = 10
TRIAL_COST: Final = 10
"""A trial of a policy counts as many requests."""
_STRANGERS: Final = "\x00strangers"
"""All that are not let in are counted together: there is nothing else to know them by that they could not change."""

BEARER: Final = HTTPBearer(
    auto_error=False, description="An API key. Where none is set, this machine needs none.", scheme_name="key"
)


class Admission:
    """Lets requests in.

    Args:
        keys: that are known.
        requests_per_second: of one key, on the average of ten seconds.
        metrics: of the process.
    """

    def __init__(self, keys: KeyRing, requests_per_second: int, metrics: ServeMetrics) -> None:
        self._keys = keys
        self._metrics = metrics
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerSecond(requests_per_second * _WINDOW_SECONDS, _WINDOW_SECONDS)
        self._strangers = RateLimitItemPerSecond(_STRANGERS_PER_SECOND * _WINDOW_SECONDS, _WINDOW_SECONDS)

    @property
    def is_open(self) -> bool:
        """Whether no key is set, so that this machine needs none."""
        return self._keys.is_empty

    def admit(self, authorization: str | None, scope: Scope, cost: int = 1) -> Principal:
        """Tell who asks, for what counts as so many requests.

        Raises:
            ProblemError: if nobody who may, or too often.
        """
        principal = self._keys.principal(authorization)
        if principal is None:
            self._count(self._strangers, _STRANGERS)
            self._metrics.count_denial(Denial.NO_KEY)
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED, "no-key", "a valid API key is needed", {"WWW-Authenticate": "Bearer"}
            )
        self.count(principal, cost)
        if scope is Scope.ADMIN and principal.scope is not Scope.ADMIN:
            self._metrics.count_denial(Denial.SCOPE)
            raise ProblemError(HTTPStatus.FORBIDDEN, "scope", "this key may read only")
        return principal

    def count(self, principal: Principal, cost: int = 1) -> None:
        """Count a request of somebody who is known, or as many as it is worth.

        Raises:
            ProblemError: if it is one too many.
        """
        self._count(self._limit, principal.name, cost)

    def _count(self, limit: RateLimitItemPerSecond, name: str, cost: int = 1) -> None:
        if self._limiter.hit(limit, name, cost=min(cost, limit.amount)):
            return
        self._metrics.count_denial(Denial.RATE)
        reset_seconds = self._limiter.get_window_stats(limit, name).reset_time - time.time()
        wait = str(max(1, math.ceil(reset_seconds)))
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS, "rate-limit", "too many requests; try again later", {"Retry-After": wait}
        )


# Not a plain function: those are carried out in a thread of their own, at every request.
async def _admission(request: Request) -> Admission:  # see above
    admission: Admission = request.app.state.admission
    return admission


Admitting = Annotated[Admission, Depends(_admission)]
# What it finds is for the description only: the header is read once, in one place.
Described = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]


async def reader_of(request: Request, admission: Admitting, _: Described) -> Principal:
    """Let in whoever may read."""
    return admission.admit(request.headers.get("authorization"), Scope.READ)


async def admin_of(request: Request, admission: Admitting, _: Described) -> Principal:
    """Let in whoever may change."""
    return admission.admit(request.headers.get("authorization"), Scope.ADMIN)


async def trier_of(request: Request, admission: Admitting, _: Described) -> Principal:
    """Let in whoever may read, for what costs much."""
    return admission.admit(request.headers.get("authorization"), Scope.READ, TRIAL_COST)


MayRead = Annotated[Principal, Depends(reader_of)]
MayTry = Annotated[Principal, Depends(trier_of)]
MayChange = Annotated[Principal, Depends(admin_of)]
