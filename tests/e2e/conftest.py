"""The whole stack, started once: AWS endpoint, event-source mapping, Airflow, and Spark as Airflow starts it.

`SCENELAKE_TEST_STACK` selects its form: `embedded` (processes, the default) or `compose` (containers);
`SCENELAKE_TEST_WAIT_S` how long a drive may take (300), for a machine that is busy with something else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fleet.drive_folder import DriveFolder
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.uploader import CLIENT_CONFIG, upload
from ingest.ledger.repository import Ledger
from lake.landing import DriveId
from lake.settings import Settings
from ops.deployment import Deployment
from ops.drives.follower import Follower, NoSteps, Sighting
from ops.settings import CommandSettings
from scenes.accounting.settings import AuditSettings

from .compose_stack import ComposeStack
from .embedded_stack import EmbeddedStack
from .stack import QUICK, Stack

SMALL_RIG = RigOptions(width_px=320, height_px=180, lidar_columns=180, lidar_rings=16)
WAIT_S = float(os.environ.get("SCENELAKE_TEST_WAIT_S", "300"))
KIND = os.environ.get("SCENELAKE_TEST_STACK", "embedded")
STACKS: dict[str, Callable[[Path], Stack]] = {"embedded": EmbeddedStack, "compose": ComposeStack}


def eventually(look: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """The first true value that `look` returns, or a failure that names what did not happen."""
    deadline_s = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what}: not within {within_s:.0f} s")
        time.sleep(0.1)
    return found


@dataclass
class Deployed:
    """A running stack and its deployment, as a user sees them."""

    stack: Stack
    deployment: Deployment

    @property
    def settings(self) -> Settings:
        return self.deployment.settings

    @property
    def s3(self) -> Any:
        return self.deployment.s3(CLIENT_CONFIG)

    @property
    def ledger(self) -> Ledger:
        return self.deployment.ledger()

    def send(self, folder: Path, *, check: bool = True) -> DriveId:
        drive_folder = DriveFolder.load(folder, check=check)
        upload(drive_folder, self.s3, self.settings.raw_bucket)
        return drive_folder.drive

    def wait(self, drive: DriveId) -> Sighting:
        """Wait until the drive is published or quarantined."""
        follower = Follower(self.ledger, self.deployment.manifest_versions(), NoSteps())
        found = follower.follow(drive, WAIT_S, lambda _: None)
        assert found.final, f"{drive} ended as {found.summary}: {found.problem}"
        return found

    def table(self, name: str, drive: DriveId) -> list[dict[str, Any]]:
        """A published table's rows of one drive."""
        rows: pa.Table = (
            self.deployment.catalog()
            .load_table(name)
            .scan(row_filter=f"vehicle_id == '{drive.vehicle_id}' and drive_id == '{drive.drive_id}'")
            .to_arrow()
        )
        return rows.to_pylist()

    def check_audit(self) -> None:
        """`scenelake audit` balances, and it compared something."""
        found = self.deployment.auditor("test").everything().result
        assert found.balanced, "\n".join(map(str, found.failures))
        assert found.checks > 10


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "SCENELAKE_"))]:
            if not name.startswith("SCENELAKE_TEST_"):
                patch.delenv(name)
        for name, value in QUICK.items():
            patch.setenv(name, value)
        stack = STACKS[KIND](tmp_path_factory.mktemp("stack"))
        try:
            stack.up()
            for name, value in stack.environment().items():
                patch.setenv(name, value)
            yield Deployed(stack, Deployment(Settings.from_env(), CommandSettings(), Path(), AuditSettings()))
        finally:
            left = stack.down()
        assert left == [], "the end of the stack left something"


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes small drives: `make("id", "fault", …)`."""
    folder = tmp_path_factory.mktemp("drives")

    def made(drive_id: str, *faults: str, segment_s: float = 10.0) -> Path:
        parsed = tuple(map(Fault.parse, faults))
        spec = DriveSpec("e2e", drive_id, duration_s=2.0, segment_s=segment_s, rig=SMALL_RIG, faults=parsed)
        generate(spec, folder / drive_id)
        return folder / drive_id

    return made


@dataclass(frozen=True)
class Trio:
    """Three drives that were sent together, and the folder of the one with damaged frames."""

    clean: DriveId
    damaged: DriveId
    broken: DriveId
    damaged_folder: Path


@pytest.fixture(scope="session")
def trio(local: Deployed, make: Callable[..., Path]) -> Trio:
    """A clean drive, one with damaged frames and a radar that dies, one with damaged files: through the stack at once."""
    damaged = make("damaged", "cut_jpeg:camera_front:2,9,16", "nan_points:lidar_top:0.9:4", "dead_sensor:radar_front:1")
    broken = make("broken", "truncate_object:camera_front_left:0.5", "wrong_checksum:radar_rear", segment_s=0.7)
    sent = [local.send(folder, check=False) for folder in (make("clean"), damaged, broken)]
    for drive in sent:
        local.wait(drive)
    return Trio(*sent, damaged)
