"""The audio data sets people name today: repositories laid out like theirs, with other sounds."""

from __future__ import annotations

from collections.abc import Callable

from hub_datasets import (
    PART,
    SHARD,
    TEST,
    TRAIN,
    in_data,
    languages,
    make_card,
    make_parquet,
    make_wav,
    one_file,
    seed_main,
    seed_script,
)
from hub_server import HubServer

GENRES = ["blues", "classical", "country"]
GTZAN_FILE = one_file(file=["/home/x/a.wav"], genre=([0, 1, 2], GENRES))
ESC50 = one_file(
    filename=[f"1-{n}.wav" for n in range(6)],
    fold=[1, 2, 3],
    target=[0, 36, 0],
    category=["dog", "vacuum_cleaner", "dog"],
    esc10=[True, False],
)
URBAN = one_file(
    slice_file_name=[f"{n}-3-0-0.wav" for n in range(6)],
    fold=[1, 2],
    classID=[3, 7],
    **{"class": ["dog_bark", "jackhammer"]},
)
INTENTS = ["abroad", "address"]
MINDS = one_file(
    transcription=["a", "b", "c", "d", "e", "f"],
    intent_class=([0, 1], INTENTS),
    lang_id=([0], ["en-US", "de-DE"]),
)
COMMON_VOICE = {
    f"{locale}/train-00000-of-00001.parquet": one_file(
        sentence=["a", "b", "c", "d", "e", "f"],
        age=["twenties", "thirties"],
        gender=["male", "female"],
        accent=["", "x"],
        locale=[locale],
    )
    for locale in ("en", "de")
}
VOICE_CARD = {"README.md": make_card({"en": ["train"], "de": ["train"]})}
KEYWORDS = ["yes", "no", "_silence_", "_unknown_"]
COMMANDS = one_file(
    file=["a/b.wav"], label=([0, 1], ["yes", "no"]), is_unknown=[True, False], speaker_id=["s", "t"]
)
SUPERB = {
    f"ks/{s}-{PART}": one_file(file=["a"], label=([0, 1, 2, 3], KEYWORDS))
    for s in ("train", "validation", "test")
}
# Id -> what fills its repository. A name with -bare, -all ... is the same one, called otherwise.
LAYOUTS: dict[str, Callable[[HubServer, str], object]] = {
    "marsyas/gtzan": seed_script({"all/train/0000.parquet": GTZAN_FILE}),
    "marsyas/gtzan-all": seed_script({"all/train/0000.parquet": GTZAN_FILE}),
    "sanchit-gandhi/gtzan": seed_main({TRAIN: GTZAN_FILE}),
    "confit/gtzan-parquet": seed_main(
        {
            in_data(s): one_file(genre=GENRES, label=([0, 1, 2], GENRES))
            for s in ("train", "validation", "test")
        }
    ),
    "mteb/gtzan-genre": seed_main({TRAIN: one_file(label=([0, 1, 2], GENRES))}),
    "s3prl/superb": seed_main(
        {
            "README.md": make_card({"ks": ["train", "validation", "test"], "ic": ["train"]}),
            **SUPERB,
            f"ic/{SHARD}": one_file(file=["a"], action=["x", "y"]),
        }
    ),
    "s3prl/superb-bare": seed_main(
        {
            "README.md": make_card({"ks": ["train"], "ic": ["train"]}),
            **SUPERB,
            f"ic/{SHARD}": one_file(file=["a"], action=["x", "y"]),
        }
    ),
    "ocisd4/superb-train": seed_main(
        {
            "README.md": make_card({"ks": ["train"]}),
            f"ks/{SHARD}": one_file(label=([0, 1, 2, 3], KEYWORDS)),
        }
    ),
    "regisss/superb_ks": seed_main({TRAIN: one_file(label=([0, 1, 2, 3], KEYWORDS))}),
    "anton-l/superb_demo": seed_script(
        {f"{c}/test/0000.parquet": one_file(label=([0, 1, 2, 3], KEYWORDS)) for c in ("ks", "sid")}
    ),
    "anton-l/superb_demo-bare": seed_script(
        {f"{c}/test/0000.parquet": one_file(label=([0, 1], ["a", "b"])) for c in ("ks", "sid")}
    ),
    "google/speech_commands": seed_script({}),
    "google/speech_commands-branch": seed_script(
        {
            f"{c}/{s}/0000.parquet": COMMANDS
            for c in ("v0.01", "v0.02")
            for s in ("train", "validation", "test")
        }
    ),
    "beeneptune/speech_commands": seed_main(
        {"README.md": make_card({"v0.02": ["train"]}), f"v0.02/{SHARD}": COMMANDS}
    ),
    "mteb/speech-commands-mini": seed_main({in_data(s): COMMANDS for s in ("train", "test")}),
    "google/fleurs": seed_script(languages("af_za", "am_et")),
    "google/fleurs-one": seed_script(languages("af_za", "am_et")),
    "google/fleurs-every": seed_script(languages("af_za", "am_et")),
    "google/fleurs-config": seed_script(languages("af_za", "am_et")),
    "google/fleurs-cut": seed_script(
        {**languages("af_za", "am_et"), "all/partial-train/0000.parquet": b""}
    ),
    "speechbrain/common_language": seed_script(
        {
            f"full/{s}/0000.parquet": one_file(
                client_id=["a", "b"], age=["x", "y"], language=([0, 1], ["Arabic", "Basque"])
            )
            for s in ("train", "validation", "test")
        }
    ),
    "mteb/commonlanguage-lang-mini": seed_main(
        {
            TRAIN: one_file(language=([0, 1, 2], ["Arabic", "Basque", "Breton"])),
            TEST: one_file(language=([0, 1], ["Arabic", "Basque", "Breton"])),
        }
    ),
    "silky1708/VoxLingua107-Top-10": seed_main({TRAIN: one_file(label=([0, 1], ["en", "de"]))}),
    "pollen-robotics/speech-commands-v0.02": seed_main(
        {TRAIN: one_file(label=([0, 1], ["yes", "no"]))}
    ),
    "mteb/voxlingua107-top10": seed_main({TRAIN: one_file(label=([0, 1], ["en", "de"]))}),
    "fixie-ai/common_voice_17_0": seed_main({**VOICE_CARD, **COMMON_VOICE}),
    "fixie-ai/common_voice_17_0-all": seed_main({**VOICE_CARD, **COMMON_VOICE}),
    "ashraq/esc50": seed_main({TRAIN: ESC50}),
    "mteb/esc50": seed_main({TRAIN: ESC50}),
    "confit/esc50-parquet": seed_main(
        {
            "README.md": make_card({f"fold{n}": ["train", "test"] for n in (1, 2)}),
            **{
                f"fold{n}/{s}-{PART}": one_file(label=([0, 1], ["dog", "rain"]))
                for n in (1, 2)
                for s in ("train", "test")
            },
        }
    ),
    "danavery/urbansound8K": seed_main({TRAIN: URBAN}),
    "mteb/urbansound8K": seed_main({TRAIN: URBAN}),
    "PolyAI/minds14": seed_script({f"{c}/train/0000.parquet": MINDS for c in ("de-DE", "en-US")}),
    "mteb/minds14-multilingual": seed_main(
        {"README.md": make_card({"en": ["train"]}), f"en/{SHARD}": one_file(intent_class=[3, 11])}
    ),
    "mteb/free-spoken-digit-dataset": seed_main(
        {in_data(s): one_file(label=[0, 1, 2]) for s in ("train", "test")}
    ),
    "mteb/vocalsound": seed_main(
        {TRAIN: one_file(answer=["Cough", "Laughter"], age_group=["20s", "30s"])}
    ),
    "mteb/sib-fleurs-multilingual-mini": seed_main(
        {TRAIN: one_file(category=["health", "sports"])}
    ),
    "mteb/crema-d": seed_main({TRAIN: one_file(label=["anger", "fear"])}),
    "dpdl-benchmark/pictures": seed_main({TRAIN: make_parquet({"label": [0, 1], "size": [3, 4]})}),
    "me/plain-files": seed_main(
        {
            f"{split}/{label}/{n}.wav": make_wav(n)
            for split in ("train", "test")
            for label in ("cat", "dog")
            for n in range(3)
        }
    ),
    "me/listed-files": seed_main(
        {
            "metadata.csv": "file_name,kind\n"
            + "".join(f"clips/{n}.wav,{'cat' if n % 2 else 'dog'}\n" for n in range(6)),
            **{f"clips/{n}.wav": make_wav(n) for n in range(6)},
        }
    ),
    "mozilla-foundation/common_voice_17_0": lambda hub, name: None,
}
