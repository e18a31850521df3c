#!/usr/bin/env python
"""Summarise a data set: the same as `audio-cls inspect`."""

import os
import sys

# Import audio_cls from the repository: Python searches this file's folder first.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path[0] = os.path.dirname(sys.path[0])

from audio_cls.cli.start import exit_on_early_interrupt

if __name__ == "__main__":
    exit_on_early_interrupt()  # before the imports, which take time

from audio_cls.cli.inspect import main

if __name__ == "__main__":
    main()
