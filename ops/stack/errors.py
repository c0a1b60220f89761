"""What can go wrong with the local stack.

StackError
├── StackConfigError     what is needed is not there: Java, the project's files, an answer of the given endpoint
├── ComponentError       a process of the stack ended, or did not become healthy in time
└── StackDownError       a question that only a running stack can answer
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class StackError(ScenelakeError):
    """Base of every error of this package."""


class StackConfigError(StackError):
    """What is needed is not there: Java, the project's files, an answer of the given endpoint."""


class ComponentError(StackError):
    """A process of the stack ended, or did not become healthy in time."""


class StackDownError(StackError):
    """A question that only a running stack can answer."""
