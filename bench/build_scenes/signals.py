"""Payloads like those of a nuScenes vehicle: their sizes, their entropy, and their structure; nothing recorded.

Sizes: a sweep of 34,688 points of 20 B (float32 x, y, z, intensity, ring), a radar scan of about 100 detections of 43 B,
a 1600 x 900 JPEG of about 150 KB (nuScenes devkit, `data_classes.py`, and the sizes of the mini set).
"""

from __future__ import annotations

import io
import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image

RINGS, AZIMUTHS = 32, 1084
RANGE_NOISE_M = 0.02
MOUNT_HEIGHT_M = 1.84
LIDAR_POINT = np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity", "ring")])
RADAR_POINT = np.dtype(
    [(name, "<f4") for name in "xyz"]
    + [("dyn_prop", "i1"), ("id", "<i2")]
    + [(name, "<f4") for name in ("rcs", "vx", "vy", "vx_comp", "vy_comp")]
    + [
        (name, "i1")
        for name in ("is_quality_valid", "ambig_state", "x_rms", "y_rms", "invalid_state", "pdh0", "vx_rms", "vy_rms")
    ]
)
IMAGE_PX = (1600, 900)
IMAGE_BYTES = 150_000
IMAGE_BYTES_SD = 10_000
COMMENT_BYTES = 0xFFFF - 2  # the capacity of one COM segment
DISTINCT_IMAGES = 10


class Lidar:
    """Sweeps of a 32-beam scanner that drives between walls: neighbouring points are similar, noise is in the low bits."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        elevation_rad = np.radians(np.linspace(-30.67, 10.67, RINGS, dtype=np.float32))
        self._azimuth_rad = np.linspace(0.0, 2.0 * np.pi, AZIMUTHS, endpoint=False, dtype=np.float32)
        self._tan = np.tan(elevation_rad)
        with np.errstate(divide="ignore"):
            self._ground_m = np.where(self._tan < -0.02, -MOUNT_HEIGHT_M / self._tan, 90.0).astype(np.float32)
        self._phase_rad = random.uniform(0.0, 2.0 * np.pi, 12).astype(np.float32)

    def measure(self, seconds: float) -> npt.NDArray[np.void]:
        """A sweep (34,688,) of `LIDAR_POINT`, one firing of all rings after another."""
        turn = self._azimuth_rad[:, None] * np.arange(1, 13, dtype=np.float32) + self._phase_rad + np.float32(seconds)
        wall_m = 18.0 + np.sin(turn).sum(axis=1) * 2.5
        range_m = np.minimum(self._ground_m, wall_m[:, None])
        range_m += self._random.standard_normal(range_m.shape, dtype=np.float32) * np.float32(RANGE_NOISE_M)
        points = np.empty((AZIMUTHS, RINGS), LIDAR_POINT)
        points["x"] = range_m * np.cos(self._azimuth_rad)[:, None]
        points["y"] = range_m * np.sin(self._azimuth_rad)[:, None]
        points["z"] = range_m * self._tan
        points["intensity"] = np.minimum(self._random.exponential(20.0, range_m.shape), 255.0).astype(np.uint8)
        points["ring"] = np.arange(RINGS)
        return points.reshape(-1)


def radar_scan(random: np.random.Generator) -> npt.NDArray[np.void]:
    """A scan of 60 to 125 detections, (N,) of `RADAR_POINT`."""
    points = np.zeros(int(random.integers(60, 126)), RADAR_POINT)
    for name, low, high in (("x", 0.2, 250.0), ("y", -80.0, 80.0), ("rcs", -5.0, 40.0), ("vx", -20.0, 20.0), ("vy", -5.0, 5.0)):
        points[name] = random.uniform(low, high, len(points))
    points["vx_comp"], points["vy_comp"] = points["vx"] * 0.1, points["vy"] * 0.1
    points["id"] = np.arange(len(points))
    points["dyn_prop"], points["ambig_state"], points["is_quality_valid"] = random.integers(0, 8, len(points)), 3, 1
    points["pdh0"], points["x_rms"], points["y_rms"] = 1, 19, 19
    return points


class Camera:
    """JPEG files of a few textures, made distinct in content and size by a COM segment of random bytes."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._images = itertools.cycle([texture(random) for _ in range(DISTINCT_IMAGES)])  # none equals one of the last eight

    def measure(self) -> bytes:
        """A JPEG of 1600 x 900 pixels."""
        image = next(self._images)
        size = int(self._random.normal(IMAGE_BYTES, IMAGE_BYTES_SD)) - len(image) - 4
        comment = self._random.bytes(min(max(size, 16), COMMENT_BYTES))
        # T.81 B.2.4.5; the segment follows SOI and the APP0 segment of 18 bytes, which JFIF requires first.
        return image[:20] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + image[20:]


def texture(random: np.random.Generator) -> bytes:
    """A JPEG a little smaller than `IMAGE_BYTES`, with detail on all scales."""
    width_px, height_px = IMAGE_PX
    pixels = np.zeros((height_px, width_px, 3), np.float32)
    for cells, contrast in ((8, 60.0), (40, 30.0), (200, 15.0), (800, 6.0)):
        coarse = random.standard_normal((cells * 9 // 16 + 1, cells, 3), dtype=np.float32)
        planes = [Image.fromarray(coarse[..., band]).resize(IMAGE_PX, Image.Resampling.BICUBIC) for band in range(3)]
        pixels += contrast * np.stack([np.asarray(plane) for plane in planes], axis=-1)
    image = Image.fromarray(np.clip(pixels + 128.0, 0, 255).astype(np.uint8))
    for quality in range(95, 20, -3):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= IMAGE_BYTES - 2 * IMAGE_BYTES_SD:
            break
    return buffer.getvalue()
