"""Write the dashboards' JSON: `python -m deploy.dashboards FOLDER`."""

import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards import business, pipeline, worker

DASHBOARDS: Final = {"business": business.build, "pipeline": pipeline.build, "worker": worker.build}


def render(board: Dashboard) -> str:
    """Return a dashboard as Grafana reads it."""
    built = board.build()
    # Numbered here: Grafana would choose other numbers at each load, and links to a panel would lead elsewhere.
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
    return json.dumps(built, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write every dashboard."""
    for name, build in DASHBOARDS.items():
        folder.joinpath(f"{name}.json").write_text(render(build()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
