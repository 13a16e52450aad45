"""The writer of PyTorch's files, which stands with the tests of reading them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "models"))
