"""Today: what changed, and whom to call first."""

from stream.console.frame import View, page


@page("/", "today")
async def today(view: View) -> None:
    """Build the page."""
    await view.section("today.figures", read=view.shared.pulse.portfolio, draw=lambda _: view.stamp())
