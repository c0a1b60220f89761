"""What a job reads from its environment: once, in `spark_jobs.runtime.entry`."""

from __future__ import annotations

from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from scenes.errors import OptionError
from scenes.options import BuildOptions, PayloadChecks, PointLayout

PREFIX = "SCENELAKE_"


class JobSettings(BaseSettings):
    """`SCENELAKE_PAYLOAD_CHECKS`, `SCENELAKE_POINT_LAYOUT` and `SCENELAKE_CODE_VERSION`; what is empty counts as not set.

    `code_version`: the git commit in full, `+dirty` where the tree differs from it; read from the checkout where not set.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    payload_checks: PayloadChecks = PayloadChecks.FULL
    point_layout: PointLayout = PointLayout.PLANES
    code_version: str | None = None

    @classmethod
    def read(cls) -> Self:
        """From the environment of this process.

        Raises:
            OptionError: Names every variable that is not one of its choices.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = (f"{PREFIX}{one['loc'][0]}".upper() + f" is {one['input']!r}: {one['msg']}" for one in error.errors())
            raise OptionError("; ".join(problems)) from error

    @property
    def options(self) -> BuildOptions:
        """The options of the build."""
        return BuildOptions(self.payload_checks, self.point_layout)
