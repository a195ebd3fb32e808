"""`python3 run.py audit`: compare the locked releases with the weaknesses that the package index knows of."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
AUDITOR = "pip-audit==2.10.1"


def main() -> int:
    """Run the auditor in an environment of its own.

    Returns:
        Its exit code: 0 when no weakness is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "env"
        python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
        uv = [sys.executable, "-m", "uv"]
        steps = [
            [*uv, "venv", "-q", str(home)],
            [*uv, "pip", "install", "-q", "--python", str(python), AUDITOR],
            [str(python), "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip", "--strict"],
        ]
        for step in steps:
            code = subprocess.run(step, check=False).returncode
            if code:
                print("audit: not passed (see above): a weakness is known, or the index could not be reached")
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
