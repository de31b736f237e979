"""`account-health check`: are the settings, the policy and the destinations usable, and what is in force?"""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.churn_model import ChurnModelError
from models.policy import PolicyError, load_policy
from processors.context import Context
from stream.cli.shell import EXIT_USAGE, fail
from stream.delivery.destinations import DestinationsError, load_destinations
from stream.judgement import context_of
from stream.portfolio.files import CutPointsFileError
from stream.settings import Settings, SettingsError, effective, env_name, load_settings


def check() -> None:
    """Print the settings and the policy in force, or every error; exit with 2 on errors.

    Needs no broker. Secrets are not printed.
    """
    errors: list[str] = []
    settings: Settings | None = None
    context: Context | None = None
    try:
        settings = load_settings(os.environ)
        context = context_of(settings)
    except (SettingsError, PolicyError, ChurnModelError, CutPointsFileError) as error:
        errors += str(error).splitlines()
    if settings is None:
        errors += _policy_errors()
    errors += _destination_errors()
    if errors or settings is None or context is None:
        fail(errors, EXIT_USAGE)
    _print(settings, context)


def _policy_errors() -> list[str]:
    """Check the policy file although other settings are wrong: all errors at once."""
    path = os.environ.get(env_name("policy_file"))
    if not path:
        return []
    try:
        load_policy(Path(path))
    except PolicyError as error:
        return str(error).splitlines()
    return []


def _destination_errors() -> list[str]:
    """Check the file of destinations, if one is named."""
    path = os.environ.get(env_name("destinations_file"))
    if not path:
        return []
    try:
        load_destinations(Path(path), os.environ)
    except DestinationsError as error:
        return str(error).splitlines()
    return []


def _print(settings: Settings, context: Context) -> None:
    policy = context.policy
    table = Table("setting", "in force", title="Settings")
    for name, value in effective(settings):
        table.add_row(name, value)
    judged = Table("policy", "in force", title="Policy")
    source = "default" if settings.policy_file is None else str(settings.policy_file)
    judged.add_row("source", source)
    judged.add_row("revision", str(policy.revision))
    judged.add_row("version", policy.version)
    judged.add_row("churn model", context.model_version)
    judged.add_row("currency", policy.reporting_currency)
    judged.add_row("time zone", policy.reporting_timezone)
    judged.add_row("windows", ", ".join(f"{days} days" for days in policy.window_days))
    console = Console()
    console.print(table, judged)
