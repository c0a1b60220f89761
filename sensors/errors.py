"""The root of the project's exceptions, and the errors in bytes that a sensor recorded.

    ScenelakeError             base of the base class of every package
    └── SensorDataError
        ├── RigError               the calibration file contradicts itself or its schema
        ├── ContainerError         a container (MCAP, bag) that cannot be walked
        │   ├── UnknownKindError   the container's format is not supported
        │   ├── TruncatedError     it ends in the middle of a record
        │   └── LimitError         it claims a size beyond the allocation limit
        └── DecodeError            a message whose payload does not decode
            └── UnknownTypeError   a message type that no decoder knows

In the pipeline these become findings with a rule id; they never end a drive.
"""

from sensors.printable import printable

MAX_MESSAGE_CHARACTERS = 20_000


class ScenelakeError(Exception):
    """Base of every expected error; any other exception is a defect and keeps its traceback.

    Messages quote what files hold, and end in terminals and logs: they are printable, of several lines at most.

    Attributes:
        hint: The next step for the reader of the message; None where the message itself is enough.
        exit_code: Exit status of a process that ends with this error.
    """

    exit_code: int = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(printable(message, MAX_MESSAGE_CHARACTERS, keep="\n"))
        self.hint = hint if hint is None else printable(hint, MAX_MESSAGE_CHARACTERS, keep="\n")


class SensorDataError(ScenelakeError):
    """Base of every error of this package."""


class RigError(SensorDataError):
    """The calibration file contradicts itself or its schema."""


class ContainerError(SensorDataError):
    """A container (MCAP, bag) that cannot be walked from its first to its last byte."""


class UnknownKindError(ContainerError):
    """A file in a format that is not a supported container."""


class TruncatedError(ContainerError):
    """The container ends in the middle of a record."""


class LimitError(ContainerError):
    """A declared size exceeds the allocation limit."""


class AllowanceError(LimitError):
    """A file makes more of its bytes than it may; it is not read any further."""


class DecodeError(SensorDataError):
    """A message whose payload does not decode."""


class UnknownTypeError(DecodeError):
    """A message of a type that no decoder knows."""
