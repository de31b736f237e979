"""Whose changes stand where in the stream of changes, oldest first: to find those of an account that is erased."""


class Feed:
    """The numbers of the changes that the stream holds, by account.

    >>> feed = Feed()
    >>> for number, account_id in ((1, "A"), (2, "B"), (3, "A")):
    ...     feed.append(number, account_id)
    >>> feed.trim(2)
    >>> feed.of("A"), feed.of("B")
    ([3], [2])
    """

    def __init__(self) -> None:
        self._account_of: dict[int, str] = {}
        self._numbers_of: dict[str, list[int]] = {}

    def of(self, account_id: str) -> list[int]:
        """Give the numbers of an account's changes."""
        return self._numbers_of.get(account_id, [])

    def append(self, number: int, account_id: str) -> None:
        """Note a change that is newer than all others."""
        self._account_of[number] = account_id
        self._numbers_of.setdefault(account_id, []).append(number)

    def forget(self, account_id: str) -> None:
        """Drop the changes of an account."""
        for number in self._numbers_of.pop(account_id, ()):
            del self._account_of[number]

    def trim(self, oldest: int) -> None:
        """Drop the changes before a number."""
        while self._account_of and (number := next(iter(self._account_of))) < oldest:
            account_id = self._account_of.pop(number)
            numbers = self._numbers_of[account_id]
            numbers.remove(number)
            if not numbers:
                del self._numbers_of[account_id]
