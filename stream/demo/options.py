"""What the demo was asked for, and the settings of the worker that follow from it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from models.policy import Policy, load_policy
from stream.environment import ENV_PREFIX
from stream.settings import env_name
from stream.simulation import Simulation, SimulationSpec

CURRENCY: Final = "EUR"
"""Of the demo's default policy."""
AHEAD_DAYS_MAX: Final = 3650
"""How far the company may live beyond today: as far as the settings let an event be dated."""
_HOURS_A_DAY: Final = 24
_MALFORMED_SHARE: Final = 0.002
_INSTANCE_ID: Final = "demo"
_SESSION_TIMEOUT_MS: Final = 300_000
"""A laptop that was asleep for a while goes on where it was."""


class DemoError(RuntimeError):
    """The demo cannot go on; the text says why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the demo was asked for."""

    accounts: int = 300
    days: int = 730
    seed: int = 1
    hours_per_second: float = 6.0
    """Simulated hours that pass in a second once the history is done."""
    once: bool = False
    """Whether to stop when the history is done."""
    policy_file: Path | None = None
    picture_file: Path | None = None
    """Where to write a picture of the screen, a while after the history; ends the demo."""

    def policy(self) -> Policy:
        """Give the policy in force.

        Raises:
            PolicyError: if the file cannot be used.
        """
        return Policy(reporting_currency=CURRENCY) if self.policy_file is None else load_policy(self.policy_file)

    def company(self, now: datetime, currency: str) -> Simulation:
        """Give the company whose history reaches to the present moment.

        Raises:
            ValueError: if no company can be that old.
        """
        spec = SimulationSpec(
            until=now.date(),
            accounts=self.accounts,
            days=self.days,
            currency=currency,
            malformed_share=_MALFORMED_SHARE,
        )
        return Simulation(spec, self.seed)

    def variables(self, bootstrap_servers: str, http_port: int) -> dict[str, str]:
        """Give the environment variables of the worker."""
        values = {
            "bootstrap_servers": bootstrap_servers,
            "embedded_broker": "true",
            "application_id": "account-health-demo",
            "instance_id": _INSTANCE_ID,
            "topic_prefix": "demo.",
            "clock": "event",
            "future_tolerance_hours": str(AHEAD_DAYS_MAX * _HOURS_A_DAY),
            # Two years pass in seconds, and the portfolio is counted all along: see the feeder.
            "census_interval_seconds": "0",
            "catch_up_commit_interval_ms": "200",
            "session_timeout_ms": str(_SESSION_TIMEOUT_MS),
            "max_poll_interval_ms": str(_SESSION_TIMEOUT_MS),
            "http_host": "127.0.0.1",
            "http_port": str(http_port),
        }
        if self.policy_file is None:
            values["reporting_currency"] = CURRENCY
        else:
            values["policy_file"] = str(self.policy_file.resolve())
        return {env_name(name): value for name, value in values.items()}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Give this process's environment with our settings in place of those that it may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)} | dict(variables)
