"""Command `train`: train, evaluate, and write a model card.

accelerate launch scripts/train.py --dataset marsyas/gtzan
accelerate launch -m audio_cls.cli.train --dataset marsyas/gtzan
audio-cls train --dataset marsyas/gtzan
"""

from __future__ import annotations

from audio_cls.cli.console import echo_main_process, is_first_process
from audio_cls.cli.options.base_command import HELP_ALL
from audio_cls.cli.options.config_options import settings_command
from audio_cls.cli.options.preset_options import LIST_PRESETS, SHOW_PRESET
from audio_cls.cli.options.settings_report import announce_settings
from audio_cls.config import RunConfig
from audio_cls.errors import SettingError

EXAMPLES = (
    "--preset demo",
    "--dataset marsyas/gtzan --epochs 5 --dry-run",
    "--dataset clips --group-column speaker --folds 5",
)
NO_DATASET = (
    "No data set was given. Name a Hub id or a folder with --dataset, or a recipe with --preset."
    " Examples: `audio-cls train --preset demo`; `audio-cls train --dataset marsyas/gtzan`;"
    " `audio-cls train --dataset my_clips --label-column label`."
)


@settings_command(options=(LIST_PRESETS, SHOW_PRESET, HELP_ALL), program="train", examples=EXAMPLES)
def main(cfg: RunConfig) -> None:
    """Train a classifier, evaluate it on the test split and write a model card."""
    if cfg.data.dataset is None:
        raise SettingError(NO_DATASET)
    # Not at the top of the file, so that --help need not wait for torch.
    from audio_cls.workflows.train import run_all

    run_all(
        cfg,
        before_run=lambda run: announce_settings(run, is_shown=is_first_process()),
        after_dry_run=echo_main_process,
    )


if __name__ == "__main__":
    main()
