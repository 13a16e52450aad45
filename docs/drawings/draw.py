"""Draw the pictures of docs/memory.md: ``python docs/drawings/draw.py [names]``, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module

from style import save

#: A module each, with a function `draw`; `tradeoff` measures times, the others nothing.
PICTURES = ("sweep", "networks", "mec", "network", "tradeoff", "history")

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        print(save(import_module(name).draw, name))
