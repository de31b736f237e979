"""`python -m validation DATA`: how well churn is predicted on published histories.

Each is imported, a model is calibrated on what was known at a day, and its risks are compared with what happened in the
horizon after it. Writes results.json and docs/validation.md.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from validation import page
from validation.cases import FURTHER, PUBLISHED, SETS
from validation.measuring import import_set, run_case


def main() -> int:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of sets, with commas; nothing is written then")
    only = set(filter(None, parser.parse_args().only.split(",")))
    configured = os.environ.get("ACCOUNT_HEALTH_DATA")
    if not configured:
        print(
            "error: ACCOUNT_HEALTH_DATA names the folder of the published histories: see docs/importing.md",
            file=sys.stderr,
        )
        return 2
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for which in SETS:
            if only and which.name not in only:
                continue
            events = import_set(which, Path(configured), folder)
            cases = results[which.name] = {}
            for case in (*PUBLISHED, *FURTHER):
                if case.set is which:
                    cases[case.key] = run_case(case, events, folder if case in PUBLISHED else None)
                    print(which.name, case.key, cases[case.key], flush=True)
    if not only:
        page.RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        page.PAGE.write_text(page.render(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
