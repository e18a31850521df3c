#!/usr/bin/env python
"""Publish a finished run on the Hub, at any later time.

python scripts/publish.py runs/gtzan-distilhubert
python scripts/publish.py runs/gtzan-distilhubert --hub-repo-id owner/name --create-pr
"""

from __future__ import annotations

from audio_cls.cli.publish import main

if __name__ == "__main__":
    main()
