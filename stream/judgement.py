"""What judges accounts, from the settings: the policy, a churn model if there is one, fixed cut points."""

from pathlib import Path

from models.churn_model import ChurnModel, ChurnModelError, load_churn_model
from models.policy import Policy
from processors.context import Context
from stream.portfolio.files import load_cut_points
from stream.settings import Settings, policy_of


def model_for(path: Path | None, policy: Policy) -> ChurnModel | None:
    """Read a churn model that a policy can serve; None without a path.

    Raises:
        ChurnModelError: if the file cannot be used, with every error, or needs more history than the policy keeps.
    """
    if path is None:
        return None
    model = load_churn_model(path)
    if model.history_days_needed > policy.horizon_days:
        raise ChurnModelError(
            f"{path}: the model counts the orders of {model.history_days_needed} days, and the policy's longest window "
            f"is {policy.horizon_days} days"
        )
    return model


def context_of(settings: Settings) -> Context:
    """Give what a worker judges by.

    Raises:
        SettingsError: if the settings name no policy.
        PolicyError: if the policy file cannot be used.
        ChurnModelError: if the model file cannot.
        CutPointsFileError: if the file of fixed cut points cannot.
    """
    policy, secret = policy_of(settings), settings.erasure_secret
    key = b"" if secret is None else secret.get_secret_value().encode()
    fixed = settings.cut_points_file
    cuts = None if fixed is None else load_cut_points(fixed)
    return Context(policy, key, cuts=cuts, model=model_for(settings.churn_model_file, policy))
