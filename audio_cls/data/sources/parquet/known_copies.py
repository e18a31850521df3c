"""Copies of well-known data sets that load without a script, as a hint in messages."""

from __future__ import annotations

# Copies under other ids that load without a script, by a part of the original's name. They were
# seen in public code and documents, and are suggestions only: nothing is loaded unasked.
KNOWN_COPIES = {
    "gtzan": "sanchit-gandhi/gtzan",
    "speech_commands": "beeneptune/speech_commands (--dataset-config v0.02)",
    "common_language": "mteb/commonlanguage-lang-mini",
    "common_voice": "fixie-ai/common_voice_17_0 (--dataset-config LANGUAGE)",
    "minds14": "mteb/minds14-multilingual",
    "voxlingua": "mteb/voxlingua107-top10",
    "superb": "s3prl/superb (--dataset-config ks)",
    "esc50": "ashraq/esc50",
    "urbansound": "danavery/urbansound8K",
    "fleurs": "mteb/sib-fleurs-multilingual-mini",
}


def suggest_copy(dataset: str) -> str:
    """Return a sentence that names a copy which loads without a script, or an empty string.

    >>> suggest_copy("me/speech_commands_v1")
    ' A copy that loads is --dataset beeneptune/speech_commands (--dataset-config v0.02).'
    """
    name = dataset.split("/")[-1].lower()
    for part, copy in KNOWN_COPIES.items():
        if part in name and copy.split(" ")[0].lower() != dataset.lower():
            return f" A copy that loads is --dataset {copy}."
    return ""
