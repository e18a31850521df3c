"""Command `train`: train, evaluate, and write a model card.

accelerate launch scripts/train.py --dataset marsyas/gtzan
accelerate launch -m audio_cls.cli.train --dataset marsyas/gtzan
audio-cls train --dataset marsyas/gtzan
"""

from __future__ import annotations

import click

from audio_cls.cli.console import echo_main_process, is_first_process
from audio_cls.cli.options.base_command import HELP_ALL
from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.cli.options.config_options import settings_command
from audio_cls.cli.options.preset_options import LIST_PRESETS, SHOW_PRESET
from audio_cls.cli.options.setting_origins import VERBOSE, read_origins
from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError
from audio_cls.runs.folder import choose_run_path
from audio_cls.runs.open_folder import check_run_folder
from audio_cls.versions import warn_other_versions

EXAMPLES = (
    "--preset demo",
    "--dataset marsyas/gtzan --epochs 5 --dry-run",
    "--dataset clips --group-column speaker --folds 5",
)


@settings_command(
    options=(VERBOSE, LIST_PRESETS, SHOW_PRESET, HELP_ALL), program="train", examples=EXAMPLES
)
def main(cfg: RunConfig) -> None:
    """Train a classifier, evaluate it on the test split and write a model card."""
    cfg.data.require_dataset()
    preset = click.get_current_context().meta[PRESET_KEY]
    if preset is not None and cfg.train.resume == "never" and is_first_process():
        warn_other_versions(preset.record)
    has_several = bool(cfg.train.seeds or cfg.train.sweep or cfg.data.folds)
    if not (cfg.train.dry_run or has_several) and is_first_process():
        try:
            check_run_folder(choose_run_path(cfg), cfg)
        except RunFolderError:
            # A mistake in a setting is shown first: another folder would not help against it.
            from audio_cls.distributed.processes import count_processes
            from audio_cls.training.open_run import check_settings

            check_settings(cfg, count_processes())
            raise
    # Not at the top of the file, so that --help and these checks need not wait for torch.
    from audio_cls.workflows.train import run_all

    run_all(cfg, origins=read_origins(), after_dry_run=echo_main_process)


if __name__ == "__main__":
    main()
