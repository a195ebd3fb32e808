"""Put the checkout on the path: the harness is shared by the modules of this folder, and tests are no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
