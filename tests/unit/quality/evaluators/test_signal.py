"""Rules on signals: one odd frame among many usual ones is found, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.evaluators.departure import COMPARISONS
from quality.evaluators.lidar import blocked_deg, drift, lost_rings, lost_share
from quality.evaluators.radar import full_share
from quality.evaluators.signal import ALONE, BASELINE, IN_DRIVE, evaluate_alone, evaluate_drive_signals, too_few
from quality.measurements.frame_metrics import FRAME_METRICS, FrameMetrics, Measured, metrics_rows, series
from quality.rules.catalogue import RULES, Severity
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.measure.cloud import SECTORS, LidarMetrics, RadarMetrics
from sensors.measure.image import TILE_COLUMNS, TILE_ROWS, ImageMetrics
from sensors.policy import Policy, RuleOverride
from sensors.rig import Modality

TILES = TILE_ROWS * TILE_COLUMNS
IMAGE = ImageMetrics(110, 20, 100, 220, 0.01, 0.01, 900.0, 0.5, (100.0,) * TILES, (30.0,) * TILES, 3.0, -4.0, 9.0, 0.0, 0.0)
SWEEP = LidarMetrics(7200, 0, 0, (100,) * SECTORS, (225,) * 32, 40.0)
SCAN = RadarMetrics(20, 1)
FRAMES = 20


def judged(
    kind: str, usual: Measured, odd: Mapping[int, Measured], same: tuple[int, ...] = (), rules: RuleBook = DEFAULT_RULES
) -> dict[int, list[str]]:
    """Rules by frame in a drive of ordinary frames except these; frames in `same` have the content of the previous one."""
    content = 0
    rows = []
    for frame in range(FRAMES):
        content += frame not in same
        rows.append((frame, "s", kind, frame, FrameMetrics(content, odd.get(frame, usual))))
    found = evaluate_drive_signals(metrics_rows(rows[::-1] + rows[:5]), rules)
    return {frame: [entry.rule_id for entry in entries] for frame, entries in sorted(found.items())}


def test_usual_frames_are_left_alone() -> None:
    for kind, usual in (("camera", IMAGE), ("lidar", SWEEP), ("radar", SCAN)):
        assert judged(kind, usual, {}) == {}
        assert evaluate_alone("s", usual, DEFAULT_RULES) == ()


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"high_luma": 25.0}, ["CAM001"]),
        ({"bright_share": 0.41}, ["CAM003"]),
        ({"dark_share": 0.71}, ["CAM004"]),
        ({"blur_px": 0.91}, ["CAM005"]),
        ({"mean_cb": 53.0, "mean_cr": -53.0}, ["CAM007"]),
        ({"mean_cb": 49.0, "mean_cr": -49.0}, []),
        ({"flat_share": 0.11}, ["CAM010"]),
        ({"flat_share": 0.1, "black_share": 0.9}, []),
        ({"bright_share": 0.4, "dark_share": 0.7, "blur_px": 0.9}, []),
        ({"blur_px": None, "high_luma": 20.0}, ["CAM001", "CAM005"]),
        ({"bright_share": None, "dark_share": None}, []),
    ],
)
def test_an_image_is_judged_by_itself(change: dict[str, float], codes: list[str]) -> None:
    assert [entry.rule_id for entry in evaluate_alone("s", replace(IMAGE, **change), DEFAULT_RULES)] == codes


@pytest.mark.parametrize("kind", ["camera", "lidar", "radar"])
def test_repeated_content_is_reported_from_its_second_frame_on(kind: str) -> None:
    usual = {"camera": IMAGE, "lidar": SWEEP, "radar": SCAN}[kind]
    code = {"camera": "CAM002", "lidar": "LID008", "radar": "RAD004"}[kind]
    assert judged(kind, usual, {}, same=(4, 5, 9)) == {4: [code], 5: [code], 9: [code]}


def test_empty_scans_are_not_frozen() -> None:
    empty = RadarMetrics(0, 0)
    assert judged("radar", SCAN, {4: empty, 5: empty}, same=(5,)) == {4: ["RAD001"], 5: ["RAD001"]}


@pytest.mark.parametrize("kind", ["camera", "lidar", "radar"])
def test_content_that_comes_round_again_is_reported_with_how_long_ago_it_was(kind: str) -> None:
    usual = {"camera": IMAGE, "lidar": SWEEP, "radar": SCAN}[kind]
    code = {"camera": "CAM002", "lidar": "LID008", "radar": "RAD004"}[kind]
    contents = [*range(8), 6, 7, 6, 7, *range(20, 28), 20, *range(30, 39), 30]
    rows = [(frame, "s", kind, frame, FrameMetrics(content, usual)) for frame, content in enumerate(contents)]
    found = evaluate_drive_signals(metrics_rows(rows), DEFAULT_RULES)
    assert {frame: [(one.rule_id, one.measured) for one in entries] for frame, entries in found.items()} == {
        8: [(code, 1)], 9: [(code, 1)], 10: [(code, 2)], 11: [(code, 2)], 20: [(code, 1)],
    }  # fmt: skip
    assert "of 2 frames earlier (repeat 2)" in found[11][0].message
    assert "of 8 frames earlier (repeat 1)" in found[20][0].message


def test_scans_of_a_few_detections_may_come_about_again() -> None:
    for detections, times in ((3, 0), (4, 1)):
        rows = [
            (frame, "s", "radar", frame, FrameMetrics(frame % 12 if frame else 3, RadarMetrics(detections, 0)))
            for frame in range(12)
        ]
        found = evaluate_drive_signals(metrics_rows(rows), DEFAULT_RULES)
        assert sum(one.rule_id == "RAD004" for entries in found.values() for one in entries) == times


def test_a_plain_still_patch_is_blocked_only_while_the_rest_moves() -> None:
    rng = np.random.default_rng(1)
    covered = np.zeros(TILES, dtype=bool)
    covered[-TILE_COLUMNS:] = True  # the last row: a third of the lower third

    def shot(moving: bool, sky: bool = False) -> ImageMetrics:
        luma = 100 + (rng.normal(0, 10, TILES) if moving else np.zeros(TILES))
        patch = np.roll(covered, TILE_COLUMNS) if sky else covered
        return replace(IMAGE, tile_luma=tuple(np.where(patch, 50, luma)), tile_spread=tuple(np.where(patch, 0.5, 30)))

    late = {frame: shot(moving=True) for frame in range(6, FRAMES)}
    clear = replace(IMAGE, tile_luma=tuple(np.arange(TILES) + 1.0))
    found = judged("camera", clear, late)
    assert set(found) == set(range(7, FRAMES))
    assert {code for codes in found.values() for code in codes} == {"CAM006"}
    assert judged("camera", clear, {frame: shot(moving=True) for frame in range(6, 12)}) == {}, "too short a run"
    assert judged("camera", clear, {frame: shot(moving=False) for frame in range(FRAMES)}) == {}, "the vehicle stands"
    assert judged("camera", clear, {frame: shot(moving=True, sky=True) for frame in range(FRAMES)}) == {}, "sky"


def test_colour_is_judged_against_the_drive() -> None:
    assert judged("camera", IMAGE, {3: replace(IMAGE, mean_cb=27.0, mean_cr=16.0)}) == {3: ["CAM008"]}
    assert judged("camera", IMAGE, {3: replace(IMAGE, mean_cb=27.0, mean_cr=13.0)}) == {}
    assert judged("camera", IMAGE, {3: replace(IMAGE, chroma_spread=1.3)}) == {3: ["CAM009"]}
    assert judged("camera", IMAGE, {3: replace(IMAGE, chroma_spread=1.4)}) == {}
    faint = replace(IMAGE, chroma_spread=1.9)
    assert judged("camera", faint, {3: replace(IMAGE, chroma_spread=0.0)}) == {}, "a camera without much colour"


def test_black_rows_at_the_bottom_are_judged_against_the_drive() -> None:
    assert judged("camera", IMAGE, {3: replace(IMAGE, black_share=0.2)}) == {3: ["CAM010"]}
    masked = replace(IMAGE, black_share=0.2)
    assert judged("camera", masked, {}) == {}, "a mask over the vehicle itself"
    assert judged("camera", masked, {3: replace(IMAGE, black_share=0.35)}) == {3: ["CAM010"]}


def test_lidar_rules_find_what_is_lost() -> None:
    fewer = replace(SWEEP, points=5000, sector_returns=(69,) * SECTORS)
    assert judged("lidar", SWEEP, {3: fewer}) == {3: ["LID003"]}
    zeros = replace(SWEEP, no_return=1800)
    assert judged("lidar", SWEEP, {3: zeros}) == {3: ["LID003", "LID005"]}
    blind = replace(SWEEP, sector_returns=(0, 0, *(100,) * (SECTORS - 3), 5))
    assert judged("lidar", SWEEP, {3: blind}) == {3: ["LID004"]}
    ringless = replace(SWEEP, ring_returns=(225,) * 20 + (0,) + (225,) * 11)
    assert judged("lidar", SWEEP, {3: ringless}) == {3: ["LID007"]}
    dim = {frame: replace(SWEEP, intensity=28.0) for frame in range(12, FRAMES)}
    assert set(judged("lidar", SWEEP, dim)) <= set(range(11, FRAMES))
    assert judged("lidar", SWEEP, dim)[16] == ["LID006"]
    unknown = replace(SWEEP, intensity=None, ring_returns=None)
    assert judged("lidar", unknown, {}) == {}


@pytest.mark.parametrize(
    ("no_return", "not_finite", "blind"), [(7200, 0, True), (6481, 0, True), (6480, 0, False), (3600, 3000, True)]
)
def test_a_blind_lidar_is_found_without_a_sound_sweep_to_compare_with(no_return: int, not_finite: int, blind: bool) -> None:
    found = evaluate_alone("s", replace(SWEEP, no_return=no_return, not_finite=not_finite), DEFAULT_RULES)
    assert [(entry.rule_id, entry.severity) for entry in found] == [("LID009", Severity.ERROR)] * blind


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"near": 6600}, "8.3% of the points have a position beyond 0.3 m, less than 10%"),
        ({"near": 7200}, "0.0% of the points"),
        ({"spread_m": 0.0017}, "all 7200 returns are at one spot: they spread by 1.7 mm"),
    ],
)
def test_returns_off_the_lidar_itself_or_at_one_spot_show_nothing(change: dict[str, float], says: str) -> None:
    (found,) = evaluate_alone("s", replace(SWEEP, **change), DEFAULT_RULES)
    assert (found.rule_id, found.severity) == ("LID009", Severity.ERROR)
    assert says in found.message
    lenient = RuleBook.of(Policy(rules=(RuleOverride("LID009", 0.0),)))
    assert evaluate_alone("s", replace(SWEEP, **change), lenient) == ()


@pytest.mark.parametrize("change", [{"near": 6000}, {"spread_m": 0.04}, {"points": 9, "spread_m": 0.001}])
def test_a_lidar_that_sees_little_is_not_blind(change: dict[str, float]) -> None:
    assert evaluate_alone("s", replace(SWEEP, **change), DEFAULT_RULES) == ()


def test_a_handful_of_points_in_every_sweep_shows_nothing() -> None:
    handful = LidarMetrics(9, 0, 0, (0,) * SECTORS, None, None)
    assert judged("lidar", handful, {}) == {frame: ["LID009"] for frame in range(FRAMES)}
    assert judged("lidar", replace(handful, points=10), {}) == {}
    few = {frame: replace(SWEEP, points=9, sector_returns=(0,) * SECTORS) for frame in range(3)}
    assert all("LID009" not in codes for codes in judged("lidar", SWEEP, few).values()), "LID003 speaks of lost returns"


def test_a_sweep_without_points_is_left_to_the_rule_on_points() -> None:
    assert evaluate_alone("s", replace(SWEEP, points=0), DEFAULT_RULES) == ()


def test_a_radar_that_is_silent_for_the_whole_drive_is_found() -> None:
    empty = RadarMetrics(0, None)
    silent = dict.fromkeys(range(FRAMES - 1), empty)
    assert judged("radar", SCAN, silent) == {frame: ["RAD005"] for frame in silent}
    assert judged("radar", empty, {}) == {frame: ["RAD005"] for frame in range(FRAMES)}
    assert judged("radar", RadarMetrics(1, None), dict.fromkeys(range(FRAMES - 2), empty)) == {}, "18 of 20 are 90 %"


def test_rings_that_were_dead_before_the_drive_are_reported_and_those_at_the_edge_are_not() -> None:
    rings = np.full((FRAMES, 5), 100.0)
    rings[:, [0, 2]] = 0
    assert lost_rings(rings).tolist() == [1.0] * FRAMES


@pytest.mark.parametrize(
    ("dead", "lost"), [((3, 4), 2), ((2, 3, 4, 5), 4), ((2, 3, 4, 5, 6), 0), ((0, 1), 0), ((7,), 0), ((3, 5), 2)]
)
def test_neighbouring_rings_that_never_return_are_lost_unless_the_lidar_does_not_use_them(
    dead: tuple[int, ...], lost: int
) -> None:
    rings = np.full((FRAMES, 8), 100.0)
    rings[:, list(dead)] = 0.0
    assert lost_rings(rings).tolist() == [float(lost)] * FRAMES


def test_natural_spread_is_not_a_loss() -> None:
    returns = np.random.default_rng(0).normal(1000, 150, 500)
    assert lost_share(returns).max() == 0.0
    assert lost_share(np.append(returns, 100.0))[-1] == pytest.approx(0.9, abs=0.02)
    assert lost_share(np.zeros(3)).tolist() == [0.0] * 3


@pytest.mark.parametrize("start", [0, 30, 70])
def test_a_blocked_sector_is_measured_across_the_back(start: int) -> None:
    sectors = np.full((FRAMES, SECTORS), 50.0)
    sectors[3, [(start + offset) % SECTORS for offset in range(4)]] = 0
    found = blocked_deg(sectors)
    assert found[3] == 20.0
    assert np.delete(found, 3).max() == 0.0
    sectors[3] = 0
    assert blocked_deg(sectors)[3] == 360.0


def test_drift_is_reported_where_it_leaves_the_median_and_single_odd_sweeps_are_not() -> None:
    assert drift(np.full(FRAMES, 40.0)).max() == 0.0
    spiked = np.full(FRAMES, 40.0)
    spiked[[3, 9]] = 400.0
    assert drift(spiked).max() == 0.0


def test_a_full_list_shows_as_a_crowd_at_its_length() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.poisson(45, 300).astype(float)
    assert full_share(lengths) == 0.0
    assert full_share(np.minimum(lengths, 45.0)) > 0.3
    assert full_share(np.full(50, 8.0)) == 0.0, "no radar's list is that short"


def test_a_few_scans_of_the_largest_length_are_not_a_limit() -> None:
    lengths = np.tile([40.0, 44.0, 38.0, 47.0], 10)
    for times in range(1, 4):
        lengths[:times] = 60.0
        assert full_share(lengths) == 0.0
    lengths[:4] = 60.0
    assert full_share(lengths) == 4 / 40


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(33, 120), st.integers(20, 60))
def test_lengths_that_no_list_cuts_are_seldom_taken_for_a_limit(seed: int, usual: int, scans: int) -> None:
    """Forty drives of independent lengths: at most one of them may look cut."""
    rng = np.random.default_rng(seed)
    assert sum(full_share(rng.poisson(usual, scans).astype(float)) > 0 for _ in range(40)) <= 1


def test_ghosts_are_reported_where_the_radar_marks_them() -> None:
    assert [entry.rule_id for entry in evaluate_alone("s", RadarMetrics(10, 6), DEFAULT_RULES)] == ["RAD002"]
    for scan in (RadarMetrics(10, 5), RadarMetrics(10, None), RadarMetrics(0, 0)):
        assert evaluate_alone("s", scan, DEFAULT_RULES) == ()


def test_too_few_frames_are_unknown_and_not_passed() -> None:
    found = too_few("s", Modality.LIDAR, 7, DEFAULT_RULES, images=False)
    assert [(entry.rule_id, entry.measured) for entry in found] == [(code, None) for code in BASELINE[Modality.LIDAR]]
    assert too_few("s", Modality.LIDAR, 8, DEFAULT_RULES, images=False) == ()
    assert too_few("s", Modality.RADAR, 1, DEFAULT_RULES, images=True) == ()
    rows = [(frame, "s", "lidar", frame, FrameMetrics(frame, SWEEP)) for frame in range(7)]
    assert evaluate_drive_signals(metrics_rows(rows), DEFAULT_RULES) == dict.fromkeys(range(7), found)


def test_a_rig_may_set_limits_and_severities() -> None:
    rules = RuleBook.of(Policy(rules=(RuleOverride("LID003", 0.5, None), RuleOverride("CAM003", 0.1, "error"))))
    assert judged("lidar", SWEEP, {3: replace(SWEEP, points=5000)}, rules=rules) == {}
    (found,) = evaluate_alone("s", replace(IMAGE, bright_share=0.2), rules)
    assert (found.rule_id, found.severity, found.threshold) == ("CAM003", Severity.ERROR, 0.1)


def test_every_rule_on_signals_is_judged_somewhere() -> None:
    judged_codes = {code for codes in (*ALONE.values(), *IN_DRIVE.values()) for code in codes}
    declared = {entry.code for entry in RULES if entry.code[:3] in ("CAM", "RAD", "LID")} - {"LID001", "LID002", "CAM012"}
    assert judged_codes | {one.code for comparisons in COMPARISONS.values() for one in comparisons} == declared


def test_the_table_reads_back_by_sensor_whatever_its_order() -> None:
    rows = [
        (frame, name, "lidar", frame, FrameMetrics(frame, replace(SWEEP, points=frame))) for frame, name in enumerate("bbaab")
    ]
    table = metrics_rows(rows[::-1] + rows)
    assert table.schema.equals(FRAME_METRICS)
    found = {one.sensor: one for one in series(table)}
    assert {name: one.frame_ids.tolist() for name, one in found.items()} == {"a": [2, 3], "b": [0, 1, 4]}
    assert found["b"].numbers("points").tolist() == [0.0, 1.0, 4.0]
    assert found["a"].lists("sector_returns").shape == (2, SECTORS)
    assert np.isnan(found["a"].numbers("bright_share")).all()


def test_one_sweep_without_rings_does_not_hide_the_lost_rings_of_the_others() -> None:
    sweeps = [replace(SWEEP, ring_returns=None if frame == 0 else (50, 0 if frame == 5 else 50, 50)) for frame in range(10)]
    rows = [(frame, "top", "lidar", frame, FrameMetrics(frame, sweep)) for frame, sweep in enumerate(sweeps)]
    found = evaluate_drive_signals(metrics_rows(rows), DEFAULT_RULES)
    outcomes = {frame: one.outcome for frame, many in found.items() for one in many if one.rule_id == "LID007"}
    assert outcomes == {0: "unknown", 5: "failed"}
