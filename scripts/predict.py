#!/usr/bin/env python
"""Classify sound files by a finished run: one row a file on standard output.

python scripts/predict.py runs/demo *.wav
python scripts/predict.py owner/name clips/ --csv > labels.csv
"""

from __future__ import annotations

from audio_cls.cli.predict import main

if __name__ == "__main__":
    main()
