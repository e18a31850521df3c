"""Room 3: batches teach the classifier."""

from audio_cls.training.accelerator import (
    describe_hardware,
    leave_processes,
    set_threads,
    start_accelerator,
)
from audio_cls.training.ahead import hear_ahead
from audio_cls.training.loop import train
from audio_cls.training.plan import plan_runs
from audio_cls.training.session import (
    Clock,
    count_parameters,
    describe_command,
    describe_date,
    describe_model,
    describe_timing,
    describe_versions,
    open_run,
    pin_revisions,
    save_settings,
    set_up_training,
)

__all__ = [
    "Clock",
    "count_parameters",
    "describe_command",
    "describe_date",
    "describe_hardware",
    "describe_model",
    "describe_timing",
    "describe_versions",
    "hear_ahead",
    "leave_processes",
    "open_run",
    "pin_revisions",
    "plan_runs",
    "save_settings",
    "set_threads",
    "set_up_training",
    "start_accelerator",
    "train",
]
