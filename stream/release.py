"""Which release this is."""

from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "account-health-stream"


def version() -> str:
    """Return the version of the installed distribution, as in pyproject.toml."""
    return metadata.version(DISTRIBUTION)
