"""Trying policies, one at a time: it costs as much as thousands of other questions."""

import asyncio
from typing import Final

from models.policy import Policy
from stream.serving.errors import TrialBusyError
from stream.serving.reader import ViewReader
from stream.serving.trial import PolicyTrial, TrialResult, trial_of, tried

_WAIT_SECONDS: Final = 2.0
"""How long a trial waits for another one to end."""
_ANY_CURRENCY: Final = "EUR"
"""Of a view without accounts, in which no money is counted."""


class Trials:
    """Tries policies on the accounts of a view.

    Args:
        reader: of the view.
        policy: in force; None for the default one in the currency of the view.
    """

    def __init__(self, reader: ViewReader, policy: Policy | None) -> None:
        self._reader = reader
        self._policy = policy
        self._lock = asyncio.Lock()

    async def held(self) -> Policy:
        """Give the policy in force. Raises ViewUnavailableError."""
        if self._policy is not None:
            return self._policy
        currency, _ = await self._reader.currency()
        return Policy(reporting_currency=currency or _ANY_CURRENCY)

    async def run(self, asked: PolicyTrial) -> TrialResult:
        """Tell what a policy would make of the accounts as they are.

        Raises:
            TrialRefusedError: if it is none.
            TrialBusyError: if others are being tried.
            ViewUnavailableError: if the view cannot be read.
        """
        trial = trial_of(await self.held(), asked)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise TrialBusyError("another policy is being tried; try again later") from None
        try:
            sample, accounts = await self._reader.sample(trial.held.scorecard.rating_days)
            _, decimals = await self._reader.currency()
            return await asyncio.to_thread(tried, trial, sample, accounts, decimals)
        finally:
            self._lock.release()
