#!/usr/bin/env python
"""Show how the models of a data set stand today, and where a run of yours would.

python scripts/leaderboard.py --dataset marsyas/gtzan
python scripts/leaderboard.py --dataset marsyas/gtzan --mine runs/gtzan-distilhubert
"""

from __future__ import annotations

from audio_cls.cli.leaderboard import main

if __name__ == "__main__":
    main()
