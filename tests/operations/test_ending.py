"""A process that ends, whatever has become of those who read what it says."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("how", "code"), [("end(7)", 7), ("end_after(0, 'late'); Event().wait(60)", 1)])
def test_a_process_whose_output_nobody_reads_any_more_ends(how: str, code: int) -> None:
    """What cannot be written holds up neither an end nor the deadline of one."""
    told = f"from threading import Event; from stream.ending import end, end_after; print('x'); {how}"
    reading, writing = os.pipe()
    os.close(reading)
    # What is printed waits until the end.
    held_back = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        [sys.executable, "-c", told], env=held_back, stdout=writing, stderr=subprocess.DEVNULL
    ) as process:
        os.close(writing)

        assert process.wait(60) == code
