"""Runs scripts/train.py with FSDP on CPUs, which Accelerate itself only does on accelerators.

Not a test: tests start it by `accelerate launch`. It tells Accelerate's state that the processes
are of FSDP; everything after that is Accelerate's and torch's own sharding, over gloo.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, DistributedType

_start = AcceleratorState.__init__


def _start_sharded(self: Any, *args: Any, fsdp_plugin: Any = None, **options: Any) -> None:  # noqa: ANN401
    _start(self, *args, fsdp_plugin=fsdp_plugin, **options)
    self.distributed_type = DistributedType.FSDP
    if fsdp_plugin is not None:
        self.fsdp_plugin = fsdp_plugin


if __name__ == "__main__":
    AcceleratorState.__init__ = _start_sharded
    script = Path(__file__).parents[2] / "scripts" / "train.py"
    sys.argv[0] = str(script)
    runpy.run_path(str(script), run_name="__main__")
