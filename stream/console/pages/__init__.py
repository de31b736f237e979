"""The pages, in the order of the navigation."""

from stream.console.frame import PAGES

from stream.console.pages import today  # isort: skip
from stream.console.pages import accounts  # isort: skip
from stream.console.pages import portfolio  # isort: skip
from stream.console.pages import win_back  # isort: skip
from stream.console.pages import live  # isort: skip
from stream.console.pages import what_if  # isort: skip
from stream.console.pages import account  # isort: skip

__all__ = ["PAGES", "account", "accounts", "live", "portfolio", "today", "what_if", "win_back"]
