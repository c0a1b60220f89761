"""Every rule there is. Codes are never renumbered and never re-used; `quality/RULES.md` is generated from this table.

The limits on rate (25 %) and gap (two periods) are those of public log checkers (rosbag-doctor, TIER IV's converter); the
others are our own judgement. That on drift is what a bad quartz does; a clock kept by PTP or GNSS is far below. That on
the delay is 15 cm at 30 m/s.

To add a rule, declare it in `RULES` under a new code, with the leeway that a rig has (or none), let an evaluator judge it
with `RuleBook.judge` and `RuleBook.finding` (a number per sensor of a drive needs only a row in `quality.measures`), and
run `python -m quality.rules_page`. Page, schema of overrides, Great Expectations suites and lineage follow from the table.
"""

from __future__ import annotations

from types import MappingProxyType

from quality.errors import UnknownRuleError
from quality.rules import Bound, Leeway, Level, Outcome, Rule, Severity

__all__ = ["RULES", "Bound", "Level", "Outcome", "Rule", "Severity", "rule"]

_OBJECT, _DRIVE, _SCENE = Level.OBJECT, Level.DRIVE, Level.SCENE
_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_EITHER, _RAISED = (_ERROR, _WARNING), (_ERROR,)
_FEW_FRAMES = "Fewer than two frames."

RULES: tuple[Rule, ...] = (
    Rule("KEY001", "key outside the layout", _OBJECT, _ERROR,
         "The object's key follows the landing layout.", 0, "keys", ""),
    Rule("CMP001", "object absent", _OBJECT, _ERROR,
         "Every object that the manifest names is in the raw bucket.", 0, "objects", ""),
    Rule("CMP002", "no manifest", _DRIVE, _ERROR,
         "The drive has a manifest that is valid.", 1, "manifests", "", Bound.AT_LEAST),
    Rule("CMP003", "sensor silent", _DRIVE, _ERROR,
         "Every required sensor, and the reference, has at least one frame.", 1, "frames", "", Bound.AT_LEAST),
    Rule("CMP004", "frames missing", _OBJECT, _WARNING,
         "The object holds as many frames as the manifest says.", 0, "frames", "",
         exception="Not evaluated for an object that is faulty already.",
         leeway=Leeway(0, 1000, _EITHER)),
    Rule("CMP005", "sensor covers too little", _DRIVE, _WARNING,
         "The sensor's frames span the drive from start to end.", 0.9, "share of the drive",
         "The drive's start and end are not known.", Bound.AT_LEAST,
         leeway=Leeway(0.1, 1, _EITHER)),
    Rule("CMP006", "scenes incomplete", _DRIVE, _WARNING,
         "At least this share of the drive's scenes has a frame of every required sensor.", 0.9, "share of the scenes",
         "The drive has no scene.", Bound.AT_LEAST, exception="Not evaluated for a drive that was refused before it was built.",
         leeway=Leeway(0.1, 1, _EITHER)),
    Rule("CMP007", "frames lost", _DRIVE, _WARNING,
         "At most this share of the frames that the nominal rate promises between first and last is lost in gaps.", 0.05,
         "share of the frames", _FEW_FRAMES, exception="Passes for a sensor without a gap: a slow one is CLK003's.",
         leeway=Leeway(0, 0.9, _EITHER)),
    Rule("DEC001", "checksum or size differs", _OBJECT, _ERROR,
         "The object's size and SHA-256 are those of the manifest.", 0, "differences",
         "The manifest does not name the object, or its bytes could not be read."),
    Rule("DEC002", "container damaged", _OBJECT, _ERROR,
         "The container can be walked from first to last byte and its checksums hold; whole frames are read, none is gold.",
         0, "faults", ""),
    Rule("DEC003", "object empty", _OBJECT, _ERROR,
         "The object holds at least one byte.", 1, "bytes", "", Bound.AT_LEAST),
    Rule("DEC004", "message type unknown", _OBJECT, _ERROR,
         "Every message is of a type that its sensor's modality knows.", 0, "messages", ""),
    Rule("DEC005", "image does not decode", _OBJECT, _ERROR,
         "The frame's image decodes to its last row.", 0, "frames", ""),
    Rule("DEC006", "point cloud does not decode", _OBJECT, _ERROR,
         "The frame's points decode: their fields lie inside the point and their number fits the payload.", 0, "frames", ""),
    Rule("DEC007", "message does not decode", _OBJECT, _ERROR,
         "The message's header, or its pose, decodes.", 0, "frames", ""),
    Rule("LID001", "too many invalid points", _OBJECT, _ERROR,
         "At most this share of a lidar frame's points is NaN or infinite; points at the origin are no return, not a fault.",
         0.5, "share of the points",
         "The frame has no point.", exception="A frame without points is unknown, and so not gold.",
         leeway=Leeway(0, 0.99, _EITHER)),
    Rule("LID002", "points that are not finite", _OBJECT, _WARNING,
         "No point of a lidar frame is NaN or infinite.", 0, "points", "The coordinates are not known.",
         leeway=Leeway(0, 1_000_000, _EITHER)),
    Rule("CLK001", "stamps regress", _DRIVE, _WARNING,
         "Stamps never step back in the order of recording.", 0, "steps", "",
         exception="An error for the reference sensor.",
         leeway=Leeway(0, 1000, _EITHER)),
    Rule("CLK002", "stamps repeat", _DRIVE, _WARNING,
         "No two frames of a sensor have the same stamp.", 0, "frames", "",
         leeway=Leeway(0, 1000, _EITHER)),
    Rule("CLK003", "rate deviates", _DRIVE, _WARNING,
         "The measured rate is the rig's nominal rate.", 0.25, "share of the nominal rate", _FEW_FRAMES,
         exception="An error for the reference sensor.",
         leeway=Leeway(0.001, 0.9, _EITHER)),
    Rule("CLK004", "gap", _DRIVE, _WARNING,
         "No two consecutive frames are further apart than this.", 2, "nominal periods", _FEW_FRAMES,
         leeway=Leeway(1.1, 1000, _EITHER)),
    Rule("CLK005", "stamps outside the drive", _DRIVE, _WARNING,
         "All stamps lie between the manifest's start and end, and between the years 2000 and 2100.", 1, "s",
         "The drive's start and end are not known.", exception="An error for a required sensor and for the reference.",
         leeway=Leeway(0, 3600, _EITHER)),
    Rule("CLK006", "stamps in another unit", _DRIVE, _WARNING,
         "Neither log times nor the nominal rate and the date show that stamps are counted in another unit than nanoseconds.",
         0, "powers of ten", "", exception="An error for a required sensor and for the reference: no match of it is one.",
         leeway=Leeway(severities=_RAISED)),
    Rule("CLK007", "clock domain differs", _DRIVE, _WARNING,
         "The sensor's clock is no further from the log time (or, without one, from the drive) than the reference's is.",
         1, "s", "", exception="Passes where CLK006 does not.",
         leeway=Leeway(1, 1_000_000_000, _EITHER)),
    Rule("CLK008", "clock set", _DRIVE, _WARNING,
         "The sensor's clock was not set to another time during the drive: its stamps have no step that log time lacks.",
         0, "steps", "", exception="Without log times only steps back count, and those that undo them.",
         leeway=Leeway(0, 1000, _EITHER)),
    Rule("CLK009", "clock drifts", _DRIVE, _WARNING,
         "The sensor's clock is not proven (95 %) to run faster or slower than the reference's by more than this.",
         100, "ppm", "", exception="Passes where the drift is not known: no log times, or less than 10 s of them.",
         leeway=Leeway(1, 10_000, _EITHER)),
    Rule("CLK010", "delay contradicts the rig", _DRIVE, _WARNING,
         "The sensor's delay is not proven (95 %) to differ from the rig's `expected_delay_ns` by more than this.",
         5, "ms", "", exception="Passes for a sensor that runs free of the reference, or has fewer than six frames near its.",
         leeway=Leeway(0.1, 1000, _EITHER)),
    Rule("CAL001", "calibration invalid", _DRIVE, _ERROR,
         "The drive has one calibration; it is valid and agrees with the manifest.", 0, "contradictions",
         "There is no manifest to agree with."),
    Rule("CAL002", "sensor not in the rig", _DRIVE, _WARNING,
         "Every sensor that has frames is in the rig.", 0, "sensors", "The calibration is missing or invalid.",
         leeway=Leeway(severities=_RAISED)),
    Rule("POS001", "no ego pose", _SCENE, _WARNING,
         "Two pose samples close enough to each other bracket the anchor.", 1, "poses", "Poses were not looked for.",
         Bound.AT_LEAST, exception="An error if the rig's policy has `pose_required`.",
         rig_key="policy.pose_required"),
    Rule("SYN001", "required sensor missing", _SCENE, _ERROR,
         "Every required sensor has a frame within its tolerance.", 0, "sensors", "The sensor was not looked for.",
         exception="A warning if the rig's policy has `publish_incomplete`, but for the anchor itself.",
         rig_key="policy.publish_incomplete"),
    Rule("SYN002", "residual large", _SCENE, _WARNING,
         "The residual is within the sensor's `warn_residual_ns`.", None, "ns", "",
         leeway=Leeway(severities=_EITHER), rig_key="sensors[].sync.warn_residual_ns"),
    Rule("SYN003", "not motion-compensated", _SCENE, _WARNING,
         "The scene's lidar points are motion-compensated to the anchor.", 1, "compensations",
         "Compensation was not looked at.", Bound.AT_LEAST,
         leeway=Leeway(severities=_EITHER)),
    Rule("SYN004", "match outside its tolerance", _DRIVE, _ERROR,
         "No published match has a residual beyond the sensor's tolerance.", 1, "tolerances",
         "Frames are in gold, but their residuals are not known."),
    Rule("ACC001", "accounting does not balance", _DRIVE, _ERROR,
         "Frames read = gold + quarantined + unmatched, and every frame kept out of gold has a reason.", 0, "frames",
         "The frames read were not counted."),
    Rule("ACC002", "error in gold", _DRIVE, _ERROR,
         "No object, frame or scene that is to be published fails a rule that is an error for it.", 0, "failures", ""),
    Rule("REV001", "object or frame rejected", _OBJECT, _ERROR,
         "No reviewer has rejected the object or frame.", 0, "rejections", ""),
    Rule("REV002", "drive rejected", _DRIVE, _ERROR,
         "No reviewer has rejected the drive.", 0, "rejections", ""),
    Rule("REV003", "scene rejected", _SCENE, _ERROR,
         "No reviewer has rejected the scene.", 0, "rejections", ""),
)  # fmt: skip

_BY_CODE = MappingProxyType({entry.code: entry for entry in RULES})


def rule(code: str) -> Rule:
    """The rule called `code`.

    Raises:
        UnknownRuleError: The catalogue holds no such code.
    """
    try:
        return _BY_CODE[code]
    except KeyError:
        raise UnknownRuleError(f"no rule {code!r}; quality/RULES.md lists all {len(RULES)}") from None
