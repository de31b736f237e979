"""Cut points in a file: written by a replay, and given to whoever has to judge as it did."""

from pathlib import Path
from typing import Final

from models.portfolio import CutPoints, PortfolioFormatError, cut_points_from_json

CUT_POINTS_FILE: Final = "cut-points.json"
"""The name under which a replay writes them."""
_BYTES_MAX: Final = 4 * 1_048_576


class CutPointsFileError(ValueError):
    """A file of cut points that cannot be used; the text says which and why."""


def load_cut_points(path: Path) -> CutPoints:
    """Read cut points from a file.

    Raises:
        CutPointsFileError: if it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise CutPointsFileError(f"{path}: larger than any cut points")
        return cut_points_from_json(path.read_bytes())
    except OSError as error:
        raise CutPointsFileError(f"{path}: {error.strerror}") from error
    except PortfolioFormatError as error:
        raise CutPointsFileError(f"{path}: {error}") from error
