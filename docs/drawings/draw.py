"""Draw pictures of docs/: ``python docs/drawings/draw.py [names]``, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module

from style import save

#: By page, a module each with a function `draw`; `tradeoff` measures times, the others nothing.
PICTURES = {
    "memory": ("sweep", "networks", "mec", "network", "tradeoff", "history"),
    "scale": ("ranks",),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or [each for names in PICTURES.values() for each in names]:
        print(save(import_module(name).draw, name))
