# SPDX-License-Identifier: Apache-2.0
"""Tagged values in TOML files, and reading such files with errors that a user can act on."""

import tomllib
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tritforge.golden import TritforgeError
from tritforge.perf.figure import Figure, Tag


class DataError(TritforgeError):
    """A data file that cannot be used; the message names file, entry and remedy."""


class Table(BaseModel):
    """A table of a data file: nothing missing, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(Table):
    """One figure of a data file.

    Attributes
    ----------
    value, low, high
        What it is, and between which bounds it lies; without them it has no spread.
    tag, source
        How it was obtained, and by whom or from what.
    """

    value: Annotated[float, Field(ge=0)]
    low: Annotated[float, Field(ge=0)] | None = None
    high: Annotated[float, Field(ge=0)] | None = None
    tag: Tag
    source: Annotated[str, Field(min_length=8)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.low, self.high
        if (low is not None and low > self.value) or (high is not None and high < self.value):
            raise ValueError("low, value and high must be in this order")
        return self

    @property
    def figure(self) -> Figure:
        """As a figure to reckon with."""
        low, high = self.low, self.high
        return Figure(self.value if low is None else low, self.value, self.value if high is None else high, self.tag)


class Positive(Value):
    """A figure that something is divided by."""

    value: Annotated[float, Field(gt=0)]
    low: Annotated[float, Field(gt=0)] | None = None


T = TypeVar("T", bound=BaseModel)


def read(path: Path, kind: type[T]) -> T:
    """Read a TOML file.

    Raises
    ------
    DataError
        One sentence with the first thing that is wrong.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the path of a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} is no TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise DataError(f"{path}: {where}: {message[0].lower()}{message[1:]}; {_remedy(first['type'])}.") from None


def _remedy(kind: str) -> str:
    return {
        "missing": "add it, as in the files of perf/estimates/platforms",
        "extra_forbidden": "remove it or correct its name",
    }.get(kind, "correct it")
