"""Configurations and files: networks as JSON, weights as safetensors.

::

    configuration   makes JSON from a network, and a network from JSON
    reader          reads the full form of a configuration
    problems        collects all that is wrong with it, each problem with its place
    strict_json     reads JSON within limits, and refuses a key that comes twice
    formats         tells by its first bytes which format a file has
    files           WeightFile: reads a file
    writing         writes a file, in the place of the old one or not at all
    loading         reads a file into the parameters of a network: all of them or none
"""

from fastconv.models.saving import configuration, formats, loading, strict_json
from fastconv.models.saving.files import CONFIG, WeightFile, head_of
from fastconv.models.saving.writing import target_of, write_network, write_weights

__all__ = [
    "CONFIG",
    "WeightFile",
    "configuration",
    "formats",
    "head_of",
    "loading",
    "strict_json",
    "target_of",
    "write_network",
    "write_weights",
]
