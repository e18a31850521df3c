"""Room 3: batches teach the classifier."""

from audio_cls.training.accelerator import (
    is_main_process,
    leave_processes,
    ready_cpu,
    start_accelerator,
)
from audio_cls.training.ahead import hear_ahead
from audio_cls.training.batch import fit_batch
from audio_cls.training.brakes import end_with_launcher
from audio_cls.training.describe import (
    describe_command,
    describe_date,
    describe_timing,
    describe_versions,
)
from audio_cls.training.hardware import describe_hardware
from audio_cls.training.loop import train
from audio_cls.training.plan import describe_cases, list_unfinished, plan_runs
from audio_cls.training.rehearsal import estimate_run, rehearse
from audio_cls.training.session import (
    Clock,
    choose_run_path,
    close_run,
    count_parameters,
    describe_model,
    explain_run_disk,
    open_run,
    pin_revisions,
    save_settings,
    set_up_training,
    settle_task,
)

__all__ = [
    "Clock",
    "choose_run_path",
    "close_run",
    "count_parameters",
    "describe_cases",
    "describe_command",
    "describe_date",
    "describe_hardware",
    "describe_model",
    "describe_timing",
    "describe_versions",
    "end_with_launcher",
    "estimate_run",
    "explain_run_disk",
    "fit_batch",
    "hear_ahead",
    "is_main_process",
    "leave_processes",
    "list_unfinished",
    "open_run",
    "pin_revisions",
    "plan_runs",
    "ready_cpu",
    "rehearse",
    "save_settings",
    "set_up_training",
    "settle_task",
    "start_accelerator",
    "train",
]
