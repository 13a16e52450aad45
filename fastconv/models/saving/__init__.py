"""Configurations and files: networks as JSON, weights as safetensors.

::

    configuration   makes JSON from a network, and a network from JSON
    reader          reads the full form of a configuration
    problems        collects all that is wrong with it, each problem with its place
    checkpoints     reads a checkpoint, or the one before it if that is damaged
    states          makes JSON and arrays from the states of training, and these from them
    strict_json     reads JSON within limits, and refuses a key that comes twice
    formats         tells by its first bytes which format a file has
    opened          opens what is given, and what files of weights have in common while open
    files           WeightFile: reads a file
    tensors         what a file of PyTorch may hold beside dicts and lists
    unpickling      reads the pickle in a file of PyTorch, and never unpickles it
    torch_file      TorchFile: reads the weights in such a file
    renaming        from the names in a file to those of a network
    writing         writes a file, in the place of the old one or not at all
    sealing         what a file is made of, and the checksum of a checkpoint, its last array
    rotation        keeps the checkpoints before the newest
    loading         reads a file into the parameters of a network: all of them or none

Modules that the door names, such as `checkpoints`, are imported when somebody asks for them.
"""

from fastconv.models.saving.files import CONFIG, PRIVATE, TRAINING, Source, WeightFile, head_of
from fastconv.models.saving.tensors import Label, Unreadable
from fastconv.models.saving.unpickling import Vocabulary, read_pickle
from fastconv.models.saving.writing import (
    Target,
    network_bytes,
    target_of,
    write_checkpoint,
    write_network,
    write_weights,
)

__all__ = [
    "CONFIG",
    "Label",
    "PRIVATE",
    "Source",
    "TRAINING",
    "Target",
    "Unreadable",
    "Vocabulary",
    "WeightFile",
    "checkpoints",
    "configuration",
    "formats",
    "head_of",
    "loading",
    "network_bytes",
    "read_pickle",
    "states",
    "strict_json",
    "target_of",
    "write_checkpoint",
    "write_network",
    "write_weights",
]
