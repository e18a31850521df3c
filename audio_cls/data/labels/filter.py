"""Label filter: the classes that the settings keep, drop, or merge as rare."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from audio_cls.config import DataConfig
from audio_cls.data.labels.label_text import normalize_names
from audio_cls.data.labels.parse import LabelColumn, Names
from audio_cls.errors import DatasetError, count_of, list_names, suggest_name

LEFT_OUT = "of a class left out"  # reason of the clips that the settings leave out

logger = logging.getLogger(__name__)


def filter_labels(labels: LabelColumn, cfg: DataConfig) -> LabelColumn:
    """Apply --keep-labels, --drop-labels, --min-clips-per-label and --merge-rare-into, in order.

    Clips are counted over all splits. A clip that loses its last class is left out.

    Raises:
        DatasetError: A label to keep or drop does not exist.
    """
    kept = list(labels.classes)
    wanted, unwanted = normalize_names(cfg.keep_labels), normalize_names(cfg.drop_labels)
    if wanted:
        check_known(wanted, labels.classes, "--keep-labels")
        kept = [name for name in kept if name in set(wanted)]
    if unwanted:
        check_known(unwanted, labels.classes, "--drop-labels")
        kept = [name for name in kept if name not in set(unwanted)]
    renamed = {name: name for name in kept}
    if cfg.min_clips_per_label is not None:
        counts = count_clips(labels)
        rare = [name for name in kept if counts[name] < cfg.min_clips_per_label]
        kept, renamed = _merge_rare(kept, rare, cfg.merge_rare_into)
        if rare:
            action = f"merged into '{cfg.merge_rare_into}'" if cfg.merge_rare_into else "left out"
            logger.info(
                "%s with fewer than %s (--min-clips-per-label) %s: %s.",
                *(count_of(len(rare), "class"), count_of(cfg.min_clips_per_label, "clip")),
                *(f"{'is' if len(rare) == 1 else 'are'} {action}", list_names(rare)),
            )
    if tuple(kept) == labels.classes and len(renamed) == len(kept):
        return labels
    return _rename(labels, tuple(kept), renamed)


def count_clips(labels: LabelColumn) -> Counter[str]:
    """Count the clips of each class over all splits."""
    together = Counter(itertools.chain.from_iterable(labels.clips.values()))
    counts: Counter[str] = Counter()
    for names, count in together.items():
        counts.update(dict.fromkeys(names, count))
    return counts


def check_known(
    wanted: Sequence[str], known: Sequence[str], flag: str, what: str = "label"
) -> None:
    """Refuse a label, or another kind of name, that the data set does not have.

    Args:
        wanted: Names that the user gave.
        known: Names of the data set.
        flag: The flag, for the message.
        what: The kind of name, for the message.

    Raises:
        DatasetError: A name is not known; the text lists the known ones.
    """
    for name in wanted:
        if name not in known:
            raise DatasetError(
                f"{flag}: there is no {what} '{name}': the {what}s are {list_names(known)}."
                f"{suggest_name(name, known)}"
            )


def _merge_rare(
    kept: list[str], rare: list[str], other: str | None
) -> tuple[list[str], dict[str, str]]:
    """Return the classes that remain, and class -> class it counts as; a new `other` is last."""
    remaining = [name for name in kept if name not in set(rare) or name == other]
    renamed = {name: name for name in remaining}
    if rare and other is not None:
        renamed |= {name: other for name in rare}
        remaining += [other] if other not in remaining else []
    return remaining, renamed


def _rename(labels: LabelColumn, classes: Names, renamed: dict[str, str]) -> LabelColumn:
    """Replace the class names of every clip; clips that lose all of them are counted."""
    unusable = labels.unusable.copy()
    clips: dict[str, list[Names]] = {}
    for split, old in labels.clips.items():
        clips[split] = []
        for names in old:
            new = tuple(dict.fromkeys(renamed[name] for name in names if name in renamed))
            if names and not new:
                unusable[LEFT_OUT] += 1
            clips[split].append(new)
    return replace(labels, classes=classes, clips=clips, unusable=unusable)
