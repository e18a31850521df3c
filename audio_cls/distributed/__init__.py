"""Processes, precision and hardware: the only package that imports accelerate."""

from accelerate import Accelerator

__all__ = ["Accelerator"]
