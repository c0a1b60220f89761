"""The root of every error of ours, and what can be wrong with the bytes a sensor left behind.

    ScenelakeError             base of the base class of every package
    └── SensorDataError
        ├── RigError               the calibration file contradicts itself or its schema
        ├── ContainerError         a container (MCAP, bag) that cannot be walked
        │   ├── UnknownKindError   it is no container that is read here
        │   ├── TruncatedError     it ends in the middle of a record
        │   └── LimitError         it claims a size beyond what we are willing to allocate
        └── DecodeError            a message whose payload does not decode
            └── UnknownTypeError   a message type that no decoder knows

In the pipeline these become findings with a rule id; they never end a drive.
"""


class ScenelakeError(Exception):
    """Base of every error that is expected; whatever else is raised is a defect and keeps its traceback.

    Attributes:
        hint: The next step for the person who reads the message; None where the message says it.
        exit_code: Exit status of a process that ends with this error.
    """

    exit_code: int = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SensorDataError(ScenelakeError):
    """Base of every error of this package."""


class RigError(SensorDataError):
    """The calibration file contradicts itself or its schema."""


class ContainerError(SensorDataError):
    """A container (MCAP, bag) that cannot be walked from its first to its last byte."""


class UnknownKindError(ContainerError):
    """A file that is no container which is read here."""


class TruncatedError(ContainerError):
    """The container ends in the middle of a record."""


class LimitError(ContainerError):
    """A declared size exceeds what we are willing to allocate for it."""


class DecodeError(SensorDataError):
    """A message whose payload does not decode."""


class UnknownTypeError(DecodeError):
    """A message of a type that no decoder knows."""
