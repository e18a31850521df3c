"""Limits of the demo page in the tests, and the names of this machine."""

from __future__ import annotations

from audio_cls.demo.clip_result import Limits

LOCAL = ("127.0.0.1", "localhost", "::1", "", None)
LIMITS = Limits(max_seconds=60, max_megabytes=1)
