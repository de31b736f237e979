"""The pages, in the order of the navigation."""

from stream.console.pages import today

__all__ = ["today"]
