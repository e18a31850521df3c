#!/usr/bin/env python
"""Show how the models of a data set stand today, and where a run of yours would.

python scripts/leaderboard.py --dataset marsyas/gtzan
python scripts/leaderboard.py --dataset marsyas/gtzan --mine runs/gtzan-distilhubert
"""

from __future__ import annotations

import os
import sys

# Python looks in this folder first, where other scripts would hide libraries of their names.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path.pop(0)

from audio_cls.cli.leaderboard import main

if __name__ == "__main__":
    main()
