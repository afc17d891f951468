"""Projects made up from a seed, of any size and shape, for tests and benchmarks."""

from redcap_dagster.emulator.synthetic.project import SyntheticProject, synthetic_project
from redcap_dagster.emulator.synthetic.shapes import SHAPES, Shape

__all__ = ["SHAPES", "Shape", "SyntheticProject", "synthetic_project"]
