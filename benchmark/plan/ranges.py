"""The three kinds of ranges a hyper-parameter is searched in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from benchmark.spec.config import Frozen, Scalar
from benchmark.support.errors import UserError
from benchmark.support.yaml_file import describe, problem

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MOST_VALUES = 10_000  # of one parameter in a grid
_EXACT = 2**53  # Optuna keeps whole numbers as doubles


def check_scalar(value: Any) -> Any:
    """Let text, finite numbers, booleans and null pass."""
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"expected text, a number, true, false or null, got {describe(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    if isinstance(value, int) and abs(value) > _EXACT:
        raise ValueError(f"expected a whole number of at most {_EXACT}, got {describe(value)}")
    return value


def check_matches(value: Any) -> Any:
    """Let a scalar or a list of scalars pass."""
    if isinstance(value, list | tuple) and not value:
        raise ValueError("the list is empty, so the condition could never hold")
    for item in value if isinstance(value, list | tuple) else [value]:
        check_scalar(item)
    return value


Value = Annotated[Scalar, BeforeValidator(check_scalar)]
Matches = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(check_matches)]
Whole = Annotated[int, Field(strict=True, ge=-_EXACT, le=_EXACT)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


def same(left: Scalar, right: Scalar) -> bool:
    """Whether two values are one: 1 and 1.0 are, 1 and true are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def options(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Return the values that a condition allows."""
    return wanted if isinstance(wanted, tuple) else (wanted,)


def meets(value: Scalar, wanted: Scalar | tuple[Scalar, ...]) -> bool:
    """Whether a value is the one, or one of those, that a condition allows."""
    return any(same(value, option) for option in options(wanted))


class _Range(Frozen):
    model_config = ConfigDict(use_attribute_docstrings=True)
    when: dict[str, Matches] = Field(default_factory=dict)
    """Search it only when each of these other parameters has (one of) the values given; otherwise it
    takes its default."""

    def active(self, values: Mapping[str, Scalar]) -> bool:
        """Whether the condition holds for the values of the other parameters."""
        return all(meets(values[name], wanted) for name, wanted in self.when.items())


class Categorical(_Range):
    """One of several values without order."""

    type: Literal["categorical"]
    """Values without order."""
    choices: Annotated[tuple[Value, ...], Field(min_length=1)]
    """The values to choose from."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for index, choice in enumerate(self.choices):
            if choice in self.choices[:index]:  # with ==, as Optuna, which takes 1 and true for one
                raise problem(f"{describe(choice)} stands twice in choices", "choices", index)
        return self

    def suggest(self, trial: BaseTrial, name: str) -> Scalar:
        """Ask a trial for a value."""
        return trial.suggest_categorical(name, self.choices)

    def holds(self, value: Scalar) -> bool:
        """Whether a value is one of the range."""
        return any(same(value, choice) for choice in self.choices)

    def clean(self, value: Scalar) -> Scalar:
        """Return a value of the range as the range writes it."""
        return next(choice for choice in self.choices if same(value, choice))

    def values(self, name: str) -> list[Scalar]:
        """Return every value, for a grid search."""
        return list(self.choices)

    def samples(self) -> tuple[Scalar, ...]:
        """Return values that show the type, and the extremes."""
        return self.choices

    def up_to(self, most: float) -> Self | None:
        """Return the range without the numbers above `most`; None where nothing is left."""
        choices = tuple(one for one in self.choices if isinstance(one, int | float) and one <= most)
        return self.model_copy(update={"choices": choices}) if choices else None

    def __str__(self) -> str:
        return f"one of {', '.join(map(describe, self.choices))}"


class _Interval(_Range):
    # The two subclasses give these their types.
    low: Any
    high: Any
    step: Any
    log: Flag = False
    """Search the logarithm, so that 0.001 to 0.01 is as wide as 0.01 to 0.1."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise problem(f"low {self.low} lies above high {self.high}", "low")
        if not math.isfinite(self.high - self.low):
            raise problem(f"low {self.low} and high {self.high} are too far apart", "low")
        if self.log and self.low <= 0:
            raise problem(f"low {self.low} must be above 0 in a log range", "low")
        if self.log and self.step != self._plain_step():
            raise problem("a log range has no step; leave out one of the two", "step")
        if self._grid() and (self.high - self.low) / self.step >= _EXACT:
            raise problem(f"step {self.step} is too small between low and high", "step")
        if self._grid() and not self._on_grid(self.high):
            raise problem(
                f"high {self.high} is not low {self.low} plus a multiple of step {self.step}; "
                f"use {self._at(self.count() - 1)}",
                "high",
            )
        return self

    @classmethod
    def _plain_step(cls) -> int | None:
        """Return the step of a range that does not name one: 1 or none."""
        step: int | None = cls.model_fields["step"].default
        return step

    def _grid(self) -> bool:
        return self.step is not None and not self.log

    def _on_grid(self, value: float) -> bool:
        # Decimal, because 0.3 % 0.1 is 0.09999999999999998.
        return (Decimal(str(value)) - Decimal(str(self.low))) % Decimal(str(self.step)) == 0

    def _at(self, index: int) -> Any:
        return type(self.low)(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def count(self) -> int:
        """Return the number of values of a range with a step."""
        return int((Decimal(str(self.high)) - Decimal(str(self.low))) // Decimal(str(self.step))) + 1

    def suggest(self, trial: BaseTrial, name: str) -> Scalar:
        """Ask a trial for a value."""
        ask: Any = trial.suggest_int if isinstance(self.low, int) else trial.suggest_float
        return self.clean(ask(name, self.low, self.high, step=self.step, log=self.log))

    def clean(self, value: Scalar) -> Scalar:
        """Return the value of the range that is nearest: Optuna computes 0.30000000000000004."""
        assert isinstance(value, int | float)
        if not self._grid():
            return type(self.low)(value)  # type: ignore[no-any-return]
        return self._at(round((value - self.low) / self.step))  # type: ignore[no-any-return]

    def holds(self, value: Scalar) -> bool:
        """Whether a value is one of the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high or (isinstance(self.low, int) and value != int(value)):
            return False
        return not self._grid() or self._on_grid(value)

    def values(self, name: str) -> list[Scalar]:
        """Return every value, for a grid search; a `UserError` where there is no finite number."""
        start = f"a grid search needs a list of values, but '{name}' is"
        if self.log:
            raise UserError(f"{start} a log range ({self}); make it 'categorical'")
        if self.step is None:
            raise UserError(f"{start} continuous ({self}); give it a 'step' or make it 'categorical'")
        if self.count() > MOST_VALUES:
            raise UserError(f"{start} a range of {self.count():,} values; give it a larger 'step'")
        return [self._at(index) for index in range(self.count())]

    def samples(self) -> tuple[Scalar, ...]:
        """Return values that show the type, and the extremes."""
        return (self.low, self.high)

    def up_to(self, most: float) -> Self | None:
        """Return the range without the numbers above `most`; None where nothing is left."""
        high = min(self.high, type(self.low)(most))
        if high < self.low:
            return None
        cut = self.model_copy(update={"high": high})
        return self.model_copy(update={"high": cut._at(cut.count() - 1)}) if self._grid() else cut

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self._grid() and self.step != self._plain_step() else ""
        return f"{self.low} to {self.high}{steps}{' on a log scale' if self.log else ''}"


class IntRange(_Interval):
    """Whole numbers from low to high, both included."""

    type: Literal["int"]
    """Whole numbers."""
    low: Whole
    """Least value."""
    high: Whole
    """Greatest value, itself searched."""
    step: Annotated[Whole, Field(gt=0)] = 1
    """Distance of the values."""


class FloatRange(_Interval):
    """Numbers from low to high, both included."""

    type: Literal["float"]
    """Numbers."""
    low: Number
    """Least value."""
    high: Number
    """Greatest value, itself searched."""
    step: Annotated[Number, Field(gt=0)] | None = None
    """Distance of the values; none for a continuous range."""


Range = Annotated[Categorical | IntRange | FloatRange, Field(discriminator="type")]
