"""What goes wrong in front of and behind a lens."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from fleet.synthetic.camera import JPEG_QUALITY
from sensors.measure.image import SCALE_PX

IMAGE_DAMAGE = frozenset(
    {FaultKind.BLANK_IMAGE, FaultKind.OVEREXPOSE, FaultKind.UNDEREXPOSE, FaultKind.BLUR, FaultKind.BLOCK_IMAGE}
)
MIDDLE = 127.5
MUD_RGB = (58, 50, 42)
MUD_ASPECT = 1.6  # width over height

Pixels = npt.NDArray[np.uint8]


def damaged_image(jpeg: bytes, fault: Fault, rng: np.random.Generator) -> bytes:
    """The image after a fault of `IMAGE_DAMAGE`, encoded again."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    if fault.kind is FaultKind.BLUR:
        image = image.filter(ImageFilter.GaussianBlur((fault.size or 0.0) * image.width / SCALE_PX))
    else:
        image = Image.fromarray(_changed(np.asarray(image), fault, rng))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _changed(pixels: Pixels, fault: Fault, rng: np.random.Generator) -> Pixels:
    share = fault.share or 0.0
    match fault.kind:
        case FaultKind.BLANK_IMAGE:
            wanted = MIDDLE + (pixels.astype(np.float32) / 255.0 - 0.5) * (fault.size or 0.0)
        case FaultKind.OVEREXPOSE:
            white = max(float(np.quantile(pixels.min(axis=2), 1.0 - share)), 1.0)
            wanted = pixels * np.float32(256.0 / white)
        case FaultKind.UNDEREXPOSE:
            black = float(np.quantile(pixels.max(axis=2), share))
            wanted = (pixels.astype(np.float32) - black) * 0.5
        case _:
            return _covered(pixels, share, rng)
    return np.clip(np.round(wanted), 0, 255).astype(np.uint8)


def _covered(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """A plain ellipse over `share` of the lower third, as far inside as it fits."""
    height, width = pixels.shape[:2]
    third = height - height * 2 // 3
    radius_y = min(np.sqrt(share * third * width / (np.pi * MUD_ASPECT)), third / 2.0)
    radius_x = min(share * third * width / (np.pi * radius_y), width / 2.0)  # wider where it cannot be as high as it would be
    y = height - third + rng.uniform(radius_y, max(third - radius_y, radius_y))
    x = rng.uniform(radius_x, max(width - radius_x, radius_x))
    rows, columns = np.ogrid[:height, :width]
    covered = ((rows - y) / radius_y) ** 2 + ((columns - x) / radius_x) ** 2 <= 1.0
    changed = pixels.copy()
    changed[covered] = MUD_RGB
    return changed
