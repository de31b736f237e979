"""`account-health worker`: the service."""

from models.churn_model import ChurnModelError
from models.policy import PolicyError
from stream.cli.shell import EXIT_USAGE, fail, settings_or_exit
from stream.portfolio.files import CutPointsFileError
from stream.settings import SettingsError


def worker() -> None:
    """Run the worker: orders, support events and profiles in, tier changes and churn risks out."""
    settings = settings_or_exit()
    # Faust takes half a second to import, which no other command should wait for.
    from stream.worker import run_worker  # noqa: PLC0415

    try:
        run_worker(settings)
    except (SettingsError, PolicyError, ChurnModelError, CutPointsFileError) as error:
        fail(str(error), EXIT_USAGE)
