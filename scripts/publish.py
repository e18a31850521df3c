#!/usr/bin/env python
"""Publish a finished run on the Hub, at any later time.

python scripts/publish.py runs/gtzan-distilhubert
python scripts/publish.py runs/gtzan-distilhubert --hub-repo-id owner/name --create-pr
"""

from __future__ import annotations

import os
import sys

# Python looks in this folder first, where other scripts would hide libraries of their names.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path.pop(0)

from audio_cls.cli.publish import main

if __name__ == "__main__":
    main()
