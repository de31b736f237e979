"""What the process that serves the API tells Prometheus about itself."""

import platform
from enum import StrEnum, unique
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from stream.release import version
from stream.series import Counts, Histogram, Levels
from stream.telemetry import PREFIX

_BOUNDS_SECONDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)
ROUTES: Final = tuple(
    f"/api/v1/{one}"
    for one in (
        "accounts",
        "accounts/{account_id:path}",
        "portfolio",
        "win-back",
        "churn/months",
        "changes",
        "changes/live",
        "status",
        "profile-edits",
        "what-if",
    )
)
"""The routes that are told apart."""
_POSTED: Final = ("/api/v1/profile-edits", "/api/v1/what-if")
OTHER: Final = "other"
"""In the place of a route that is none, and of a method that nobody uses."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_CLASS: Final = 100
_STATUSES: Final = ("2xx", "4xx", "5xx")


@unique
class Denial(StrEnum):
    """Why a request was not let in."""

    NO_KEY = "no_key"
    """Without a key, or with one that is not known."""
    SCOPE = "scope"
    """The key may not do this."""
    RATE = "rate"
    """Too many requests in too short a time."""


@unique
class EditResult(StrEnum):
    """What became of a change of a profile."""

    PUBLISHED = "published"
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class ServeMetrics:
    """All metrics of the process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry(auto_describe=True)
        self._requests = Counts(
            f"{PREFIX}api_requests_total",
            "Requests to the API that were answered, by route, method and class of the status.",
            ("route", "method", "status"),
            [(one, "POST" if one in _POSTED else "GET", status) for one in ROUTES for status in _STATUSES],
        )
        self._seconds = Histogram(
            f"{PREFIX}api_request_seconds",
            "Time to answer a request of the API; of a stream of changes as long as it was open.",
            _BOUNDS_SECONDS,
            ("route",),
            [(one,) for one in (*ROUTES, OTHER)],
        )
        self._denials = Counts(
            f"{PREFIX}api_denials_total",
            "Requests that were not let in, by reason.",
            ("reason",),
            [(one,) for one in Denial],
        )
        self._edits = Counts(
            f"{PREFIX}profile_edits_total",
            "Changes of profiles that were asked for, by what became of them.",
            ("result",),
            [(one,) for one in EditResult],
        )
        self._live = Levels(f"{PREFIX}api_live_clients", "Connections to the stream of changes.")
        build = Levels(f"{PREFIX}build_info", "Always 1; what is running.", ("version", "python"), ())
        build.replace({(version(), platform.python_version()): 1})
        for one in (self._requests, self._seconds, self._denials, self._edits, self._live, build):
            self.registry.register(one)
        ProcessCollector(registry=self.registry)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Observe a request that was answered."""
        known = route if route in ROUTES else OTHER
        kind = method if method in _METHODS else OTHER
        self._requests.increment((known, kind, f"{status // _CLASS}xx"))
        self._seconds.observe(seconds, (known,))

    def count_denial(self, reason: Denial) -> None:
        """Count a request that was not let in."""
        self._denials.increment((reason,))

    def count_edit(self, result: EditResult) -> None:
        """Count a change of a profile."""
        self._edits.increment((result,))

    def set_live_clients(self, count: int) -> None:
        """Show how many follow the changes."""
        self._live.set(count)
