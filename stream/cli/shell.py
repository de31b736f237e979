"""What the commands share: settings from the environment, errors as text, exit codes."""

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final, NoReturn

import typer
from confluent_kafka import KafkaException
from kafka.errors import KafkaError
from rich.console import Console

from models.churn_model import ChurnModelError
from models.policy import PolicyError
from stream.administration import AdministrationError
from stream.checkpoint import CheckpointError
from stream.cluster import ClusterError
from stream.delivery.follower import FollowerError
from stream.files import FileError
from stream.portfolio.files import CutPointsFileError
from stream.reading import ReadingError
from stream.settings import Settings, SettingsError, load_settings

EXIT_FAILED: Final = 1
"""It was tried and did not succeed, or what was checked is not as it should be."""
EXIT_USAGE: Final = 2
"""It was not tried: an argument or a setting is wrong."""

_WIDE_CHARACTERS: Final = 200


def fail(lines: str | Iterable[str], code: int = EXIT_FAILED) -> NoReturn:
    """Write errors to standard error, one a line, and end with an exit code."""
    for line in lines.splitlines() if isinstance(lines, str) else lines:
        typer.secho(f"error: {line}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)


def settings_or_exit() -> Settings:
    """Return the settings of the environment; end with every error when they are wrong."""
    try:
        return load_settings(os.environ)
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)


def wide_console() -> Console:
    """Return a console for a wide table: as wide as the terminal, or wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else _WIDE_CHARACTERS)


@contextmanager
def errors_as_text(settings: Settings) -> Generator[None]:
    """End with a line instead of a traceback when a file, a setting or Kafka is to blame."""
    try:
        yield
    except (FileError, SettingsError, PolicyError, ChurnModelError, CutPointsFileError) as error:
        fail(str(error), EXIT_USAGE)
    except (AdministrationError, CheckpointError, ClusterError, FollowerError, ReadingError) as error:
        fail(str(error))
    except (KafkaError, KafkaException) as error:
        fail(f"Kafka at {settings.bootstrap_servers}: {error}")
    except BrokenPipeError:
        # The reader of our output has enough. What is still buffered must not be tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_FAILED) from None
