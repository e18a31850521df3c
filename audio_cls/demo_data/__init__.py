"""Data set and model configuration that ship with the package (see NOTICE)."""

from audio_cls.demo_data.builtin import BUILTIN, locate_builtin

__all__ = ["BUILTIN", "locate_builtin"]
