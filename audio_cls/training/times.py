"""How long the parts of a training took, and its electricity: summed over all starts of a run."""

from __future__ import annotations
