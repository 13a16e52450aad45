"""Configurations and files: networks as JSON, weights as safetensors.

::

    configuration   JSON from a network and back
    reader          the full form of it; problems: all that is wrong, each with its place
    strict_json     JSON that is limited, and has no key twice
    formats         which format a file has, by its first bytes
    files           WeightFile: reads one
    writing         writes one, in the place of the old one or not at all
    loading         a file into the parameters of a network, all or none
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
