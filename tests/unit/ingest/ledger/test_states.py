from __future__ import annotations

from ingest.ledger.states import FINAL, TRANSITIONS, DriveState, sources_of

L, Q, P, PUB, QUA, F, FORGOTTEN = DriveState


def test_every_state_has_its_row_and_a_way_out_but_a_forgotten_drive() -> None:
    assert set(TRANSITIONS) == set(DriveState)
    assert {state for state, targets in TRANSITIONS.items() if not targets} == {FORGOTTEN}


def test_no_step_of_a_drive_makes_it_forgotten() -> None:
    assert sources_of(FORGOTTEN) == ()


def test_only_a_new_revision_leads_out_of_a_final_state() -> None:
    assert {PUB, QUA} == FINAL
    assert TRANSITIONS[PUB] == TRANSITIONS[QUA] == frozenset({Q})


def test_nothing_goes_back_to_landing() -> None:
    assert sources_of(L) == ()


def test_sources() -> None:
    assert sources_of(Q) == (L, Q, P, PUB, QUA, F)
    assert sources_of(P) == (Q, P, F)
    assert sources_of(PUB) == sources_of(QUA) == (P, F)
    assert sources_of(F) == (Q, P, F)
