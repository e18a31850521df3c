"""Table of the methods of training (`--method`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.report import StartReport
from audio_cls.workflows.methods.auto.auto import fit_auto
from audio_cls.workflows.methods.fine_tune import fine_tune
from audio_cls.workflows.methods.fitted_model import FittedModel
from audio_cls.workflows.methods.probe import fit_probe

Method = Callable[[MethodInputs, StartReport], FittedModel]

METHODS: Mapping[str, Method] = {"fine-tune": fine_tune, "probe": fit_probe, "auto": fit_auto}
