"""Test suites for models, data sets and engines: subclass one, name a target, and run pytest."""

from benchmark.testing.datasets import DatasetSuite
from benchmark.testing.engines import EngineSuite
from benchmark.testing.models import ModelSuite

__all__ = ["DatasetSuite", "EngineSuite", "ModelSuite"]
