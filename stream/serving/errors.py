"""Why the read side cannot answer."""

from collections.abc import Sequence
from typing import Final


class ServingError(RuntimeError):
    """Base of them all; the text says what is the matter, for whoever asked."""


class ViewUnavailableError(ServingError):
    """The view cannot be read now: Redis does not answer, or the view is being built. To be tried again."""


class AccountNotFoundError(ServingError):
    """There is no such account, or none any longer."""

    def __init__(self, account_id: str) -> None:
        super().__init__("there is no account of this id")
        self.account_id: Final = account_id


class CursorExpiredError(ServingError):
    """Changes after this cursor may be gone: it is too old, or of a view that was built anew since."""


class EditConflictError(ServingError):
    """The profile was changed since it was read."""


class EditRefusedError(ServingError):
    """What the edit asks for is not allowed in a profile."""


class EditUnavailableError(ServingError):
    """The profile could not be published: Kafka does not answer. To be tried again."""


class TrialRefusedError(ServingError):
    """What is to be tried is no policy."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{part}: {text}" for part, text in problems))
        self.problems: Final = tuple(problems)
        """Part of the request, and what is wrong with it."""


class TrialBusyError(ServingError):
    """Another policy is being tried by this process. To be tried again."""


class TooManyClientsError(ServingError):
    """As many connections to the stream of changes as may be are open already."""
