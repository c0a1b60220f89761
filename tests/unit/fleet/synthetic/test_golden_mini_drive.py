"""The golden mini-drive: facts of a pinned spec that must not drift.

Facts of content, not hashes: JPEG bytes depend on the version of the codec. If a change of the generator is intended,
`python -m tests.unit.fleet.synthetic.test_golden_mini_drive` rewrites the facts; review the difference before committing it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.drive_folder import DriveFolder
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from sensors.decode.images import decode_pixels
from sensors.decode.messages import decode_image, decode_points, decode_pose, peek_stamp_ns
from tests.unit.fleet.landed_drives import messages, truth_faults

GOLDEN = Path(__file__).parents[3] / "golden" / "mini_drive.json"
SPEC = DriveSpec(
    "golden-car",
    "mini-drive",
    seed=20_250_615,
    duration_s=1.0,
    segment_s=0.5,
    rig=RigOptions(cameras=("camera_front",), width_px=192, height_px=108, lidar_rings=16, lidar_columns=180),
    faults=(Fault.parse("drop_frames:camera_front:3"), Fault.parse("nan_points:lidar_top:0.1:4")),
)


def facts_of(drive: DriveFolder) -> dict[str, Any]:
    """The pinned facts of a drive."""
    assert drive.manifest is not None
    clouds = [decode_points(message.data) for message in messages(drive, "lidar_top")]
    pixels = [decode_pixels(decode_image(message.data).data) for message in messages(drive, "camera_front")]
    scans = [decode_points(message.data) for message in messages(drive, "radar_front")]
    poses = [decode_pose(message.data) for message in messages(drive, "pose")]
    return {
        "objects": [[entry.key, entry.frame_count, entry.end_ns] for entry in drive.manifest.objects],
        "camera_stamps_ns": [peek_stamp_ns(message.data) for message in messages(drive, "camera_front")],
        "lidar_points": [cloud.num_points for cloud in clouds],
        "lidar_invalid": [int(cloud.invalid().sum()) for cloud in clouds],
        "lidar_first_xyz_m": clouds[0].xyz_m()[:3].round(3).tolist(),
        "lidar_last_t_ns": int(np.max(clouds[0].column("t"))),
        "camera_mean_rgb": [frame.mean(axis=(0, 1)).round(1).tolist() for frame in pixels],
        "radar_detections": [scan.num_points for scan in scans],
        "radar_range_rates_m_s": scans[0].column("range_rate")[:5].round(2).tolist(),
        "last_pose": [round(float(value), 6) for value in (*poses[-1].odom_SE3_ego.translation_m, *poses[-1].odom_SE3_ego.wxyz)],
        "faults": truth_faults(drive),
    }


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return facts_of(generate(SPEC, tmp_path_factory.mktemp("golden") / "drive"))


GOLDEN_FACTS: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
TOLERANCE = {
    "lidar_first_xyz_m": 2e-3,
    "camera_mean_rgb": 1.0,
    "radar_range_rates_m_s": 0.02,
    "last_pose": 2e-6,
    # Another processor's sine may differ in its last bit, and a grazing ray then meets a box or does not.
    "lidar_points": 2,
    "lidar_invalid": 1,
    "radar_detections": 1,
}


def test_the_golden_file_pins_every_fact(facts: dict[str, Any]) -> None:
    assert GOLDEN_FACTS.keys() == facts.keys()


@pytest.mark.parametrize("name", sorted(GOLDEN_FACTS))
def test_the_mini_drive_is_as_pinned(facts: dict[str, Any], name: str) -> None:
    if name in TOLERANCE:
        np.testing.assert_allclose(facts[name], GOLDEN_FACTS[name], atol=TOLERANCE[name])
    else:
        assert facts[name] == GOLDEN_FACTS[name]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = facts_of(generate(SPEC, Path(scratch) / "drive"))
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{GOLDEN}: {len(found)} facts\n")
