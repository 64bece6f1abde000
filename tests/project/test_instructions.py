"""The machine-independent figure of `make bench`: instructions a request must not grow."""

from __future__ import annotations

import shutil

import pytest

import instructions


@pytest.mark.soak
@pytest.mark.process
@pytest.mark.timeout(1_800)
def test_a_request_takes_no_more_instructions_than_the_kept_ones() -> None:
    """Under callgrind, the real mix and the hot requests take at most 3 % more instructions than the kept ones.

    The figures belong to an interpreter: where another one runs, nothing can be said.
    """
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is missing: tests/debian/install bench/debian-packages.txt")
    kept = instructions.kept_for(instructions.interpreter())
    if not kept:
        pytest.skip(f"no figures are kept for {instructions.interpreter()}: bench/instructions.py --save-baseline")
    counted = instructions.count()
    grown = {name: (value, kept[name]) for name, value in counted.items() if value > instructions.GROWTH * kept[name]}
    assert not grown, instructions.text(counted, kept)
