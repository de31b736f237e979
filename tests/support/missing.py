"""What a test needs and this machine does not have."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test for want of something, in one line with how to get it; where CI says that all is there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    # A newcomer has Python and nothing else: what cannot run there is told, and is no failure.
    pytest.skip(what)
