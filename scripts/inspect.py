#!/usr/bin/env python
"""Former name of scripts/inspect_dataset.py; will be removed in the next release."""

from __future__ import annotations

import os
import sys

if __name__ == "inspect":  # a script in this folder imports the standard library's module
    from importlib import util
    from importlib.machinery import PathFinder

    _spec = PathFinder.find_spec("inspect", [os.path.dirname(os.__file__)])
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["inspect"] = util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["inspect"])
elif __name__ == "__main__":
    # Python searches this folder first, where this file would hide the standard library's module.
    if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        sys.path[0] = os.path.dirname(sys.path[0])
    from audio_cls.cli.inspect import main

    print(  # noqa: T201
        "scripts/inspect.py is now scripts/inspect_dataset.py (or: audio-cls inspect).",
        file=sys.stderr,
    )

    main()
