"""The matches of a drive by `pandas.merge_asof`, for the contenders that plan in one process.

Of two equally near frames `merge_asof(direction="nearest")` takes the earlier, as the contract requires.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.build_scenes.raw import ObjectIndex, RawRig, anchors_of

PLACES = ("object", "place", "length")


def plan_matches(objects: Sequence[ObjectIndex], rig: RawRig, mode: str) -> pd.DataFrame:
    """A row for each anchor, ascending; for each sensor its stamp, offset and residual, and its payload's index (-1: none)."""
    frames = {name: _frames(objects, name) for name in rig.names}
    stamps_ns = frames[rig.reference][f"{rig.reference}_stamp_ns"].to_numpy()
    plan = pd.DataFrame({"anchor_ns": anchors_of(stamps_ns, mode)})
    for name, delay_ns, tolerance_ns in [(rig.reference, 0, 0), *((s.name, s.delay_ns, s.tolerance_ns) for s in rig.others)]:
        target = plan["anchor_ns"] + delay_ns
        found = pd.merge_asof(
            target.to_frame("target_ns"),
            frames[name],
            left_on="target_ns",
            right_on="key_ns",
            direction="nearest",
            tolerance=tolerance_ns,
        )
        for what in PLACES:
            found[f"{name}_{what}"] = found[f"{name}_{what}"].fillna(-1).astype(np.int64)
        found[f"{name}_offset_ns"] = found[f"{name}_stamp_ns"] - plan["anchor_ns"]
        found[f"{name}_residual_ns"] = found[f"{name}_stamp_ns"] - target
        plan = pd.concat([plan, found.drop(columns=["target_ns", "key_ns"])], axis=1)
    return plan


def _frames(objects: Sequence[ObjectIndex], sensor: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "key_ns": entry.stamps_ns,
                # Nullable integers: as floats, which missing values make of the others, stamps would not be exact.
                f"{sensor}_stamp_ns": pd.array(entry.stamps_ns, "Int64"),
                f"{sensor}_object": pd.array(np.full(len(entry.stamps_ns), number), "Int64"),
                f"{sensor}_place": pd.array(entry.offsets, "Int64"),
                f"{sensor}_length": pd.array(entry.lengths, "Int64"),
            }
        )
        for number, entry in enumerate(objects)
        if entry.sensor == sensor
    ]
    return pd.concat(parts, ignore_index=True).sort_values("key_ns", ignore_index=True)
