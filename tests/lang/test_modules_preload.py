"""Nothing is loaded after the zygote's preload."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_no_use_of_a_module_opens_a_file_or_imports_a_module_after_preload():
    """After preload, scripts that use every module and common codecs, and fail, open and import nothing."""
    command = [sys.executable, str(HERE / "preloaded.py"), str(HERE / "module_uses.py")]
    env = {"TZ": "UTC", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found == {"wanted": [], "problems": {}}
