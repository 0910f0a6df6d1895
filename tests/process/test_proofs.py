"""Run every proof in its short form; ``python -m tests.prove`` runs the same ones long."""

from __future__ import annotations

import pytest

from tests.prove.outcome import Proof
from tests.prove.registry import PROOFS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("proof", PROOFS, ids=[proof.name for proof in PROOFS])
def test_proof(proof: Proof) -> None:
    outcome = proof.run(short=True)
    assert outcome.holds, "\n".join([outcome.done, outcome.result, *outcome.problems])
