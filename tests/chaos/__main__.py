"""`make chaos`: faults from a seed, and whether anything was lost or repeated by them."""

import argparse
import faulthandler
import random
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from tests.chaos.driver import Driver, Run
from tests.chaos.kinds import Kind, schedule
from tests.chaos.report import last_line, write
from tests.support.broker import KafkaBroker, missing_tools


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # this is a program


def _main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=20, help="how many")
    parser.add_argument("--seed", type=int, default=None, help="the same one lets the same happen again")
    parser.add_argument(
        "--kind", type=Kind, action="append", choices=list(Kind), help="only this one; may be given several times"
    )
    parser.add_argument("--out", type=Path, default=Path("chaos.json"), help="where the result is written")
    chosen = parser.parse_args()
    faulthandler.enable()
    seed = random.SystemRandom().randrange(2**32) if chosen.seed is None else chosen.seed
    kinds = tuple(chosen.kind or Kind)
    _say(f"seed {seed}")
    if missing := missing_tools():
        _say(f"no Kafka broker without {' and '.join(missing)}: apt-get install openjdk-17-jre-headless maven")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    run = Run(chosen.faults)
    try:
        with KafkaBroker(folder / "kafka") as broker:
            Driver(broker, folder, seed, _say).run(schedule(random.Random(seed), kinds), chosen.faults, run)
    except Exception:  # noqa: BLE001  # whatever it is, the run has failed, and what came before it is worth reading
        run.failure = traceback.format_exc()
        _say(run.failure)
    write(run, seed, chosen.out)
    if run.ok:
        shutil.rmtree(folder)
    else:
        _say(f"logs are in {folder}")
    _say(last_line(run))
    return 0 if run.ok else 1


if __name__ == "__main__":
    sys.exit(_main())
