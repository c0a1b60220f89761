"""A camera that sees the same boxes and the same checkered ground as the lidar, one ray per pixel.

Rendering happens in the ego frame: the vehicle stays level, so where a pixel meets the ground relative to the vehicle
never changes and is computed once. Boxes are tested only inside the rectangle that their corners project to.
"""

from __future__ import annotations

import io
import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image

from fleet.encode import encode_image
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.world import World, is_light_square
from sensors.decode.images import PNG_MAGIC
from sensors.decode.messages import IMAGE
from sensors.rig import Sensor

JPEG_QUALITY = 85
FAR_M = 150.0
NEAR_M = 0.1
HAZE_M = 60.0  # distance at which the checker has faded to 1/e, before its squares are finer than pixels
DARK_RGB = np.array([62, 64, 66], dtype=np.float32)
LIGHT_RGB = np.array([104, 106, 108], dtype=np.float32)
HORIZON_RGB = np.array([176, 190, 204], dtype=np.float32)
ZENITH_RGB = np.array([92, 140, 205], dtype=np.float32)
FACE_SHADE = (0.95, 0.72, 1.12)  # of faces across x, y and z of the box, as under a low sun
CORNERS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))

Floats32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Camera:
    """The camera `sensor` of a drive; global shutter, no distortion."""

    message_type = IMAGE

    def __init__(self, world: World, sensor: Sensor, spec: DriveSpec) -> None:
        if sensor.ego_SE3_sensor is None or sensor.intrinsics is None:
            raise ValueError(f"{sensor.name} has no pose or no intrinsics")
        self._world, self._sensor, self._spec = world, sensor, spec
        self._lens = sensor.intrinsics
        self._camera_SE3_ego = sensor.ego_SE3_sensor.inverse()
        self._origin_m = sensor.ego_SE3_sensor.translation_m
        u, v = np.meshgrid(np.arange(self._lens.width_px), np.arange(self._lens.height_px))
        rays = np.stack(
            [(u - self._lens.cx_px) / self._lens.fx_px, (v - self._lens.cy_px) / self._lens.fy_px, np.ones(u.shape)], axis=-1
        )
        # Unit depth, not unit length: a hit's parameter is then its depth, which the box windows share.
        self._ray = np.moveaxis(rays @ sensor.ego_SE3_sensor.rotation.T, -1, 0).astype(np.float32)
        self._below = self._ray[2] < -1e-4
        with np.errstate(divide="ignore"):
            depth = np.where(self._below, -np.float32(self._origin_m[2]) / self._ray[2], np.inf)
        self._ground_depth_m = depth.astype(np.float32)
        reach = depth[self._below]
        self._ground_m = [(self._origin_m[axis] + reach * self._ray[axis][self._below]).astype(np.float32) for axis in (0, 1)]
        fade = np.exp(-np.hypot(*self._ground_m) / HAZE_M)[:, None].astype(np.float32)
        self._checker = [(HORIZON_RGB + fade * (rgb - HORIZON_RGB)).astype(np.uint8) for rgb in (DARK_RGB, LIGHT_RGB)]
        self._sky = self._render_sky()
        self._palette = _palette(world)

    def measure(self, shot: Shot) -> bytes:
        """The JPEG of what the camera sees at the shot's true time."""
        buffer = io.BytesIO()
        Image.fromarray(self._with_noise(self.render(shot.true_ns), shot)).save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()

    def encode(self, jpeg: bytes, stamp_ns: int) -> bytes:
        """The image as a CompressedImage; a fault may have made it a PNG."""
        encoding = "png" if jpeg.startswith(PNG_MAGIC) else "jpeg"
        return encode_image(stamp_ns, self._sensor.name, encoding, jpeg)

    def render(self, true_ns: int) -> Pixels:
        """Pixels (height, width, 3), RGB."""
        pixels, _ = self._trace(true_ns)
        return pixels

    def seen(self, true_ns: int) -> npt.NDArray[np.int32]:
        """The object in each pixel (height, width): the index of a box, or -1 for ground and sky."""
        _, code = self._trace(true_ns)
        return (code.astype(np.int32) - 1) // 3

    def _with_noise(self, pixels: Pixels, shot: Shot) -> Pixels:
        deviation = self._spec.rig.camera_noise_levels
        if deviation == 0.0:
            return pixels
        rng = np.random.default_rng(seed_of(self._spec.seed, self._sensor.name, 1, shot.index))
        noisy = pixels + deviation * rng.standard_normal(pixels.shape, dtype=np.float32)
        return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)

    def _trace(self, true_ns: int) -> tuple[Pixels, npt.NDArray[np.int16]]:
        instant = np.array([true_ns - self._spec.start_ns])
        motion = self._world.road.at_ns(instant)
        yaw = float(motion.yaw_rad[0])
        pixels = self._sky.copy()
        pixels[self._below] = self._ground(motion.position_m[0], yaw)
        depth_m = self._ground_depth_m.copy()
        code = np.zeros(depth_m.shape, dtype=np.int16)
        boxes = self._world.boxes_at(instant)
        offset = boxes.centre_m[0, :, :2] - motion.position_m[0]
        centre = np.empty((len(offset), 3))
        centre[:, 0] = np.cos(yaw) * offset[:, 0] + np.sin(yaw) * offset[:, 1]
        centre[:, 1] = np.cos(yaw) * offset[:, 1] - np.sin(yaw) * offset[:, 0]
        centre[:, 2] = boxes.centre_m[0, :, 2]
        for index in range(len(centre)):
            self._draw(index, centre[index], boxes.yaw_rad[0, index] - yaw, boxes.size_m[index], depth_m, code)
        drawn = code > 0
        pixels[drawn] = self._palette[code[drawn]]
        return pixels, code

    def _ground(self, position_m: npt.NDArray[np.float64], yaw: float) -> Pixels:
        x, y = self._ground_m
        cosine, sine = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
        # Subtracting whole pairs of squares keeps float32 precise far from the origin and leaves the pattern as it is.
        east, north = (np.float32(value % 4.0) for value in position_m)
        light = is_light_square(cosine * x - sine * y + east, sine * x + cosine * y + north)
        return np.asarray(np.where(light[:, None], self._checker[1], self._checker[0]))

    def _draw(
        self,
        index: int,
        centre_m: npt.NDArray[np.float64],
        yaw: float,
        size_m: npt.NDArray[np.float64],
        depth_m: Floats32,
        code: npt.NDArray[np.int16],
    ) -> None:
        window = self._window(centre_m, yaw, size_m)
        if window is None:
            return
        cosine, sine = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
        x, y, z = (self._ray[axis][window] for axis in range(3))
        offset = self._origin_m - centre_m
        local = (
            (float(np.cos(yaw) * offset[0] + np.sin(yaw) * offset[1]), cosine * x + sine * y),
            (float(np.cos(yaw) * offset[1] - np.sin(yaw) * offset[0]), cosine * y - sine * x),
            (float(offset[2]), z),
        )
        near = np.full(x.shape, -np.inf, dtype=np.float32)
        far = np.full(x.shape, np.inf, dtype=np.float32)
        face = np.zeros(x.shape, dtype=np.int16)
        for axis, (start, ray) in enumerate(local):
            inverse = np.float32(1.0) / np.where(np.abs(ray) < 1e-9, np.float32(1e-9), ray)
            middle = np.float32(-start) * inverse
            reach = np.float32(size_m[axis] / 2.0) * np.abs(inverse)
            enter = middle - reach
            later = enter > near
            face[later] = axis
            np.maximum(near, enter, out=near)
            np.minimum(far, middle + reach, out=far)
        shown = (near <= far) & (near > NEAR_M) & (near < depth_m[window])
        depth_m[window][shown] = near[shown]
        code[window][shown] = np.int16(1 + 3 * index) + face[shown]

    def _window(
        self, centre_m: npt.NDArray[np.float64], yaw: float, size_m: npt.NDArray[np.float64]
    ) -> tuple[slice, slice] | None:
        """The rectangle of pixels that can show a box; None if it is behind the camera, too far or beside the image."""
        corners = CORNERS * size_m
        turned = np.stack(
            [np.cos(yaw) * corners[:, 0] - np.sin(yaw) * corners[:, 1], np.sin(yaw) * corners[:, 0] + np.cos(yaw) * corners[:, 1]]
        )
        in_ego = np.column_stack([turned[0], turned[1], corners[:, 2]]) + centre_m
        x, y, depth = self._camera_SE3_ego.apply(in_ego).T
        if depth.max() < NEAR_M or depth.min() > FAR_M:
            return None
        width, height = self._lens.width_px, self._lens.height_px
        if depth.min() < NEAR_M:
            return slice(0, height), slice(0, width)
        u = self._lens.fx_px * x / depth + self._lens.cx_px
        v = self._lens.fy_px * y / depth + self._lens.cy_px
        left, right = max(0, int(np.floor(u.min()))), min(width, int(np.ceil(u.max())) + 1)
        top, bottom = max(0, int(np.floor(v.min()))), min(height, int(np.ceil(v.max())) + 1)
        return None if left >= right or top >= bottom else (slice(top, bottom), slice(left, right))

    def _render_sky(self) -> Pixels:
        up = np.clip(self._ray[2] / np.linalg.norm(self._ray, axis=0), 0.0, 0.5)[..., None] * 2.0
        return np.asarray(HORIZON_RGB + up * (ZENITH_RGB - HORIZON_RGB), dtype=np.uint8)


def _palette(world: World) -> Pixels:
    """Colour of each code: 0 is unused, 1 + 3 * box + axis is the face of a box across that axis."""
    rgb = np.zeros((1 + 3 * len(world.bodies), 3), dtype=np.uint8)
    for index, body in enumerate(world.bodies):
        for axis, shade in enumerate(FACE_SHADE):
            rgb[1 + 3 * index + axis] = np.clip(np.array(body.rgb) * shade, 0, 255).astype(np.uint8)
    return rgb
