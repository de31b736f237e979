"""Our worker with its core compiled, as a wheel that is built with ACCOUNT_HEALTH_COMPILE=1 has it."""

from benchmarks.catalogue import compile_core
from benchmarks.contenders import account_health
from benchmarks.contenders.measured import task_from_arguments

if __name__ == "__main__":
    account_health.main(task_from_arguments(), compile_core())
