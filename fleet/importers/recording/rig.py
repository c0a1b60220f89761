"""A rig for a recording without one: measured where possible, otherwise left open and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fleet.errors import SourceError
from fleet.importers.recording.census import Census
from fleet.recordings.topics import MAX_SENSORS
from sensors.container.recorded import CDR, ROS1, Recorded
from sensors.decode.camera_info import CAMERA_INFO, CameraInfo, decode_camera_info
from sensors.decode.ros1 import ros1_to_cdr
from sensors.decode.transforms import TRANSFORMS, FrameTree, decode_transforms
from sensors.errors import DecodeError
from sensors.geometry import SE3
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Intrinsics, Modality, Rig, Sensor, Stamp, Sync
from sensors.time_units import NS_PER_S

STATIC_TOPIC = "tf_static"
EGO_FRAME = "base_link"  # REP 105
_TRANSPORTS = ("/compressed",)  # image_transport appends its name to the topic of the image


class RecordedCalibration:
    """The recorded mountings and lenses. A camera's lens is published beside its images (image_pipeline): `/front/image_raw`
    and `/front/camera_info`, of the same frame."""

    def __init__(self) -> None:
        self._tree = FrameTree()
        self._lenses: dict[str, CameraInfo] = {}
        self._other_lenses: dict[str, _OtherLens] = {}
        self._undecoded: dict[str, str] = {}

    def take(self, message: Recorded) -> bool:
        """Record a message; False if it is of another kind, or the limit is reached: then it is left out. The first lens of a
        camera is taken; others are counted.
        """
        name = message.topic.rpartition("/")[2]
        static = message.message_type == TRANSFORMS and name == STATIC_TOPIC
        if not (static or message.message_type == CAMERA_INFO) or message.encoding not in (CDR, ROS1):
            return False
        if message.topic in self._undecoded:
            return True
        if self._full() and _camera(message.topic) not in self._lenses:
            return False
        try:
            cdr = ros1_to_cdr(message.message_type, message.data) if message.encoding == ROS1 else message.data
            if static:
                self._tree.add(decode_transforms(cdr))
            else:
                self._take_lens(_camera(message.topic), decode_camera_info(cdr))
        except DecodeError as error:
            self._undecoded[message.topic] = str(error)
        return True

    def _take_lens(self, camera: str, lens: CameraInfo) -> None:
        first = self._lenses.setdefault(camera, lens)
        if first != lens:
            known = self._other_lenses.setdefault(camera, _OtherLens(lens))
            known.messages += 1

    def _full(self) -> bool:
        """Whether the limit of topics is reached: a recording must not fill memory."""
        return len(self._lenses) + len(self._undecoded) >= 2 * MAX_SENSORS

    def ego_frame(self, sensors: Sequence[Census]) -> str | None:
        """The frame of the mountings: that of the recorded poses, else `base_link`, else the common root of all frames."""
        posed = [census.child_frame_id for census in sensors if census.source.modality is Modality.POSE]
        named = next((frame for frame in (*posed[:1], EGO_FRAME) if frame and frame in self._tree), None)
        if named is not None or posed:
            return named
        roots = {self._tree.root(census.frame_id) for census in sensors if census.frame_id in self._tree}
        return roots.pop() if len(roots) == 1 else None

    def place(self, census: Census, ego_frame: str | None) -> SE3 | None:
        """`ego_SE3_sensor` of a sensor; None where it is not recorded."""
        if ego_frame is None or census.source.modality is Modality.POSE or census.frame_id not in self._tree:
            return None
        return self._tree.between(ego_frame, census.frame_id)

    def lens(self, census: Census) -> Intrinsics | None:
        """The lens of a camera; None where it is not recorded, or a rig cannot represent it."""
        info = self._info(census)
        return None if info is None else info.intrinsics

    def words(self, sensors: Sequence[Census]) -> list[str]:
        """Findings on what was recorded and what is missing."""
        ego_frame = self.ego_frame(sensors)
        measuring = [census for census in sensors if census.source.modality is not Modality.POSE]
        placed = [census for census in measuring if self.place(census, ego_frame) is not None]
        cameras = [census for census in measuring if census.source.modality is Modality.CAMERA]
        seen = [census for census in cameras if self.lens(census) is not None]
        notes = [
            f"{topic}: a message does not decode, and none after it was read: {why}" for topic, why in self._undecoded.items()
        ]
        if placed:
            names = ", ".join(census.source.sensor for census in placed)
            notes.append(f"calibration: mountings in the frame {ego_frame!r}, from /{STATIC_TOPIC}: {names}")
        if seen:
            notes.append(f"calibration: lenses from CameraInfo: {', '.join(census.source.sensor for census in seen)}")
        notes += [
            f"calibration: the recording contradicts itself about the frame {frame!r}: {how}; the latter was taken"
            for frame, how in sorted(self._tree.contradictions.items())
        ]
        for census in cameras:
            camera = _camera(census.source.topic)
            if camera in self._other_lenses:
                notes.append(f"{census.source.sensor}: {self._other_lenses[camera].words(self._lenses[camera])}")
        notes += [self._why_open(census, ego_frame) for census in measuring if census not in placed]
        notes += [f"{census.source.sensor}: {self._why_dark(census)}" for census in cameras if census not in seen]
        return notes

    def _info(self, census: Census) -> CameraInfo | None:
        if census.source.modality is not Modality.CAMERA:
            return None
        info = self._lenses.get(_camera(census.source.topic))
        same = info is not None and info.frame_id.removeprefix("/") == census.frame_id.removeprefix("/")
        return info if same else None

    def _why_open(self, census: Census, ego_frame: str | None) -> str:
        begin = f"{census.source.sensor}: its mounting is unknown, set it with --rig: "
        if not census.frame_id:
            return begin + "its messages name no frame"
        if census.frame_id not in self._tree:
            return begin + f"no /{STATIC_TOPIC} contains its frame {census.frame_id!r}"
        if ego_frame is None:
            return begin + f"/{STATIC_TOPIC} has neither the frame of the poses nor {EGO_FRAME!r}"
        return begin + f"/{STATIC_TOPIC} does not connect its frame {census.frame_id!r} with {ego_frame!r}"

    def _why_dark(self, census: Census) -> str:
        info = self._info(census)
        begin = "its lens is unknown, set it with --rig: "
        return begin + (
            "there is no CameraInfo of its frame beside its images" if info is None else f"its CameraInfo {info.reason}"
        )


@dataclass(slots=True)
class _OtherLens:
    """The first CameraInfo of a camera that differs from the one taken, and how many do."""

    lens: CameraInfo
    messages: int = 0

    def words(self, taken: CameraInfo) -> str:
        """How they differ."""
        values = " and ".join(_lens_words(one) for one in (taken, self.lens))
        return f"the recording contradicts itself about its lens: {values} ({self.messages} messages); the former was taken"


def _lens_words(info: CameraInfo) -> str:
    lens = info.intrinsics
    if lens is None:
        return f"one of frame {info.frame_id!r} that {info.reason}"
    distortion = f", distortion {' '.join(f'{value:g}' for value in lens.distortion)}" if lens.distortion else ""
    return (
        f"{lens.width_px} x {lens.height_px} px, focal lengths {lens.fx_px:g} {lens.fy_px:g} px, principal point "
        f"{lens.cx_px:g} {lens.cy_px:g} px{distortion}, of frame {info.frame_id!r}"
    )


def _camera(topic: str) -> str:
    """The namespace of a camera, which its images and its lens share."""
    for transport in _TRANSPORTS:
        topic = topic.removesuffix(transport)
    return topic.rpartition("/")[0]


RIG_ID = "inferred"
SINGLE_FRAME_HZ = 1.0
SLOWEST_HZ, FASTEST_HZ = 0.001, 100_000.0  # as in the calibration's schema, like the next
WIDEST_TOLERANCE_NS = 10 * NS_PER_S
REFERENCES = (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)


def infer_rig(sensors: Sequence[Census], calibration: RecordedCalibration) -> tuple[Rig, tuple[str, ...]]:
    """The rig of the sensors found, and the assumptions in it.

    Raises:
        SourceError: None of them is a lidar, camera or radar, so there is nothing to build scenes around.
    """
    ordered = sorted(sensors, key=lambda census: census.source.sensor)
    reference = next((c for modality in REFERENCES for c in ordered if c.source.modality is modality), None)
    if reference is None:
        found = ", ".join(f"{c.source.topic} ({c.source.message_type})" for c in ordered)
        raise SourceError(
            f"the recording has neither lidar nor camera nor radar, only {found}; a scene needs one to be built around"
        )
    ego_frame = calibration.ego_frame(ordered)
    made = tuple(
        replace(_sensor(census), ego_SE3_sensor=calibration.place(census, ego_frame), intrinsics=calibration.lens(census))
        for census in ordered
    )
    rig = Rig(RIG_ID, reference.source.sensor, made)
    notes = [
        f"no rig was given, so one was inferred: sensors from topics, modality from message type and name, reference "
        f"{rig.reference}; no sensor is required, delays are 0, tolerances half a period",
        *calibration.words(ordered),
    ]
    notes += [f"{census.source.sensor}: {_about_stamp(census)}" for census in ordered if census.source.modality.in_scene]
    notes += [
        f"{census.source.sensor}: one frame has no rate; {SINGLE_FRAME_HZ} Hz is declared"
        for census in ordered
        if not census.period_ns
    ]
    return rig, tuple(notes)


def _sensor(census: Census) -> Sensor:
    period_ns = census.period_ns
    rate_hz = SINGLE_FRAME_HZ if period_ns is None else min(max(NS_PER_S / period_ns, SLOWEST_HZ), FASTEST_HZ)
    tolerance_ns = min(round(NS_PER_S / rate_hz / 2), WIDEST_TOLERANCE_NS)
    sync = Sync(census.stamp or Stamp.MIDDLE, 0, tolerance_ns, DEFAULT_WARN_RESIDUAL_NS, required=False)
    source = census.source
    return Sensor(source.sensor, source.modality, round(rate_hz, 3), sync, topic=source.topic)


def _about_stamp(census: Census) -> str:
    if census.stamp is None:
        return "what its stamp denotes is not in the recording; taken as the middle of the measurement"
    return f"by its point times, its stamp is the {census.stamp.value} of the sweep"
