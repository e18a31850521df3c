"""Coverage-guided fuzzing of the decoder: any bytes are decoded or refused by an `AudioError`.

    pip install atheris  # not part of the extras: wheels for Linux only
    python tests/faults/fuzz_decode.py SEEDS -max_total_time=600 -timeout=30 -rss_limit_mb=4096

SEEDS is a folder that is filled with short files of every format that soundfile writes here, and of
those that PyAV writes where it is installed. Other options are those of libFuzzer. A finding is a
file `crash-*`, `timeout-*` or `oom-*`; it becomes a case of `tests/faults/test_hostile_audio.py`.
"""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

FORMATS = (
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"),
    ("WAVEX", "PCM_24"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("CAF", "ALAC_16"),
    ("W64", "PCM_16"), ("RF64", "PCM_16"), ("NIST", "PCM_16"), ("VOC", "PCM_16"),
    ("SVX", "PCM_16"), ("IRCAM", "PCM_16"), ("PAF", "PCM_16"), ("HTK", "PCM_16"),
    ("AVR", "PCM_16"), ("MAT5", "PCM_16"), ("SDS", "PCM_16"), ("WVE", "ALAW"),
)  # fmt: skip
CODECS = {"mp4": "aac", "webm": "libopus", "asf": "wmav2", "adts": "aac", "matroska": "aac"}


def make_seed(format_: str, subtype: str, seconds: float = 0.02) -> bytes:
    """Encode a short tone."""
    rate = 8_000
    wave = np.sin(np.arange(round(seconds * rate)) / 3).astype(np.float32) / 2
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=format_, subtype=subtype)
    return buffer.getvalue()


def encode_with_pyav(container: str, codec: str) -> bytes:
    """Encode a short tone in a container of FFmpeg."""
    import av

    buffer = io.BytesIO()
    wave = (np.sin(np.arange(4_800) / 7) / 2).astype(np.float32)[None]
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.rate = 48_000
        for part in (frame, None):
            file.mux(stream.encode(part))
    return buffer.getvalue()


def write_seeds(folder: Path) -> None:
    """Write one file per format."""
    folder.mkdir(parents=True, exist_ok=True)
    for format_, subtype in FORMATS:
        try:
            content = make_seed(format_, subtype)
        except (soundfile.SoundFileError, ValueError) as error:
            sys.stderr.write(f"no seed of {format_} {subtype}: {error}\n")
            continue
        (folder / f"{format_}-{subtype}").write_bytes(content)
    for container, codec in CODECS.items():
        try:
            content = encode_with_pyav(container, codec)
        except (ImportError, ValueError, OSError) as error:
            sys.stderr.write(f"no seed of {container}: {error}\n")
            continue
        (folder / container).write_bytes(content)


def decode(content: bytes) -> None:
    """Decode bytes in all ways; other exceptions than `AudioError` pass."""
    from audio_cls.audio.decode import decode_blocks, decode_file, measure_seconds
    from audio_cls.errors import AudioError

    measure_seconds(content, None)
    whole = None
    try:
        whole = decode_file(content, None, max_seconds=60)
    except AudioError:
        pass
    else:
        assert np.isfinite(whole.samples).all() and whole.samples.ndim == 2
    try:
        num_samples = 0
        for block in decode_blocks(content, None):
            num_samples += len(block.samples)
            if num_samples > 2**22:
                return  # long, and rightly not in memory
    except AudioError:
        return
    assert whole is None or num_samples == len(whole.samples)


def main() -> None:
    """Write the seeds, then fuzz."""
    import atheris

    folder = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if folder is not None:
        write_seeds(folder)
    with atheris.instrument_imports(include=["audio_cls.audio", "soundfile", "av"]):
        import audio_cls.audio.decode  # noqa: F401
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
