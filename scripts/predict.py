#!/usr/bin/env python
"""Classify sound files by a finished run: one row a file on standard output.

python scripts/predict.py runs/demo *.wav
python scripts/predict.py owner/name clips/ --csv > labels.csv
"""

from __future__ import annotations

import os
import sys

# Python looks in this folder first, where other scripts would hide libraries of their names.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path.pop(0)

from audio_cls.cli.predict import main

if __name__ == "__main__":
    main()
