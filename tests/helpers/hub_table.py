"""What `--dataset ID` comes to for each repository of hub_layouts.py.

A row is the one-line call, and what comes of it: a label column and its classes, or an error with
the next call to try.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hub_layouts import GENRES, INTENTS, KEYWORDS


class Case(NamedTuple):
    """One row of the table."""

    id: str
    settings: dict[str, Any]
    column: str = ""  # the label column that is found, and
    names: tuple[str, ...] = ()  # its classes, or else
    advice: str = ""  # what the error says to try


CASES = [
    Case("marsyas/gtzan", {}, "genre", tuple(GENRES)),
    Case("marsyas/gtzan-all", {"dataset_config": "all"}, "genre", tuple(GENRES)),
    Case("sanchit-gandhi/gtzan", {}, "genre", tuple(GENRES)),
    Case("confit/gtzan-parquet", {}, "label", tuple(GENRES)),
    Case("mteb/gtzan-genre", {}, "label", tuple(GENRES)),
    Case("s3prl/superb", {"dataset_config": "ks"}, "label", tuple(KEYWORDS)),
    Case("s3prl/superb-bare", {}, advice="--dataset-config: ks, ic"),
    Case("ocisd4/superb-train", {"dataset_config": "ks"}, "label", tuple(KEYWORDS)),
    Case("regisss/superb_ks", {}, "label", tuple(KEYWORDS)),
    Case("anton-l/superb_demo", {"dataset_config": "ks"}, "label", tuple(KEYWORDS)),
    Case("anton-l/superb_demo-bare", {}, advice="--dataset-config: ks, sid"),
    Case(
        "google/speech_commands", {"dataset_config": "v0.02"}, advice="beeneptune/speech_commands"
    ),
    Case("google/speech_commands-branch", {"dataset_config": "v0.02"}, "label", ("yes", "no")),
    Case("beeneptune/speech_commands", {"dataset_config": "v0.02"}, "label", ("yes", "no")),
    Case("mteb/speech-commands-mini", {}, "label", ("yes", "no")),
    Case("google/fleurs", {}, advice="--dataset-config: af_za, am_et, or 'all'"),
    Case("google/fleurs-one", {"dataset_config": "af_za"}, advice="--dataset-config all"),
    Case("google/fleurs-every", {"dataset_config": "all"}, "lang_id", ("af_za", "am_et")),
    Case(
        "google/fleurs-config",
        {"dataset_config": "all", "label_column": "config"},
        "config",
        ("af_za", "am_et"),
    ),
    Case("google/fleurs-cut", {"dataset_config": "all"}, "lang_id", ("af_za", "am_et")),
    Case("speechbrain/common_language", {}, "language", ("Arabic", "Basque")),
    Case("mteb/commonlanguage-lang-mini", {}, "language", ("Arabic", "Basque", "Breton")),
    Case("silky1708/VoxLingua107-Top-10", {}, "label", ("en", "de")),
    Case("pollen-robotics/speech-commands-v0.02", {}, "label", ("yes", "no")),
    Case("mteb/voxlingua107-top10", {}, "label", ("en", "de")),
    Case("fixie-ai/common_voice_17_0", {"dataset_config": "en"}, advice="age, gender, accent"),
    Case("fixie-ai/common_voice_17_0-all", {"dataset_config": "all"}, "locale", ("de", "en")),
    Case("ashraq/esc50", {}, "category", ("dog", "vacuum_cleaner")),
    Case("mteb/esc50", {"label_column": "target"}, "target", ("dog", "vacuum_cleaner")),
    Case("confit/esc50-parquet", {"dataset_config": "fold1"}, "label", ("dog", "rain")),
    Case("danavery/urbansound8K", {}, "class", ("dog_bark", "jackhammer")),
    Case("mteb/urbansound8K", {"label_column": "classID"}, "classID", ("dog_bark", "jackhammer")),
    Case("PolyAI/minds14", {"dataset_config": "en-US"}, "intent_class", tuple(INTENTS)),
    Case("mteb/minds14-multilingual", {"dataset_config": "en"}, "intent_class", ("3", "11")),
    Case("mteb/free-spoken-digit-dataset", {}, "label", ("0", "1", "2")),
    Case("mteb/vocalsound", {}, "answer", ("Cough", "Laughter")),
    Case("mteb/sib-fleurs-multilingual-mini", {}, "category", ("health", "sports")),
    Case("mteb/crema-d", {}, "label", ("anger", "fear")),
    Case(
        "dpdl-benchmark/pictures", {}, advice="No column holds audio: the columns are label, size"
    ),
    Case("me/plain-files", {}, "label", ("cat", "dog")),
    Case("me/listed-files", {}, "kind", ("cat", "dog")),
    Case(
        "mozilla-foundation/common_voice_17_0",
        {"dataset_config": "en"},
        advice="fixie-ai/common_voice_17_0",
    ),
]
