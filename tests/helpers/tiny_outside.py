"""Tiny checkpoints of model families without an audio classifier in transformers.

They differ in what matters here: an encoder with a decoder (Speech2Text, Moonshine, SeamlessM4T),
with a CTC head (Parakeet, LASR) or with a language model (Qwen2-Audio, Voxtral); waveforms
(Moonshine) or spectrograms; patches instead of frames (CLAP); a fixed length (CLAP, Qwen2-Audio,
Voxtral); with and without a mask. To test another family, add a function to MAKERS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

T: Any = transformers
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
SMALL = {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "encoder_layers": 2, "decoder_layers": 1}
TEXT = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


def _make_speech_to_text() -> tuple[Any, Any]:
    config = T.Speech2TextConfig(
        vocab_size=20, d_model=16, input_feat_per_channel=20, conv_channels=16,
        max_source_positions=1000, **HEADS, **SMALL,
    )  # fmt: skip
    extractor = T.Speech2TextFeatureExtractor(feature_size=20, num_mel_bins=20)
    return config, extractor


def _make_moonshine() -> tuple[Any, Any]:
    config = T.MoonshineConfig(
        vocab_size=20, hidden_size=16, intermediate_size=16,
        encoder_num_hidden_layers=2, decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2, decoder_num_attention_heads=2,
        encoder_num_key_value_heads=2, decoder_num_key_value_heads=2,
    )  # fmt: skip
    return config, T.Wav2Vec2FeatureExtractor()


def _make_clap() -> tuple[Any, Any]:
    audio = {
        "window_size": 4, "num_mel_bins": 64, "spec_size": 256, "hidden_size": 32,
        "patch_embeds_hidden_size": 8, "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 1, 1], "patch_size": 8, "patch_stride": [8, 8],
    }  # fmt: skip
    text = {**TEXT, "intermediate_size": 8}
    extractor = T.ClapFeatureExtractor(
        feature_size=64, truncation="rand_trunc", sampling_rate=8000, max_length_s=2,
        hop_length=240, fft_window_size=512,
    )  # fmt: skip
    return T.ClapConfig(text_config=text, audio_config=audio, projection_dim=8), extractor


def _make_parakeet() -> tuple[Any, Any]:
    encoder = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "conv_kernel_size": 5, "subsampling_conv_channels": 8,
        "num_mel_bins": 32,
    }  # fmt: skip
    config = T.ParakeetCTCConfig(vocab_size=20, pad_token_id=0, encoder_config=encoder)
    return config, T.ParakeetFeatureExtractor(feature_size=32)


def _make_qwen2_audio() -> tuple[Any, Any]:
    audio = {"num_mel_bins": 20, "d_model": 16, "max_source_positions": 1500}
    audio |= {"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    text = {"model_type": "qwen2", "num_key_value_heads": 1, "intermediate_size": 8, **TEXT}
    config = T.Qwen2AudioConfig(audio_config=audio, text_config=text)
    return config, T.WhisperFeatureExtractor(feature_size=20)


def _make_seamless_m4t() -> tuple[Any, Any]:
    decoders = {
        f"t2u_{name}": value for name, value in {**HEADS, **SMALL, "vocab_size": 20}.items()
    }
    config = T.SeamlessM4TConfig(
        vocab_size=20, hidden_size=16, speech_encoder_layers=2, speech_encoder_attention_heads=2,
        speech_encoder_intermediate_size=16, feature_projection_input_dim=160,
        conv_depthwise_kernel_size=5, unit_embed_dim=8, spkr_embed_dim=8, lang_embed_dim=8,
        vocoder_num_langs=3, vocoder_num_spkrs=2, upsample_initial_channel=32,
        unit_hifi_gan_vocab_size=20, **HEADS, **SMALL, **decoders,
    )  # fmt: skip
    return config, T.SeamlessM4TFeatureExtractor()


def _make_mimi() -> tuple[Any, Any]:
    config = T.MimiConfig(
        num_filters=4, hidden_size=16, num_hidden_layers=1, intermediate_size=16,
        num_attention_heads=2, num_key_value_heads=2, head_dim=8, codebook_size=16, codebook_dim=8,
        vector_quantization_hidden_dimension=8, num_quantizers=2, num_semantic_quantizers=1,
        upsample_groups=16,
    )  # fmt: skip
    return config, T.EncodecFeatureExtractor(sampling_rate=24_000)


def _make_lasr() -> tuple[Any, Any]:
    encoder = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "intermediate_size": 16, "conv_kernel_size": 5,
        "subsampling_conv_channels": 8, "num_mel_bins": 80,
    }  # fmt: skip
    config = T.LasrCTCConfig(vocab_size=20, encoder_config=encoder)
    return config, T.LasrFeatureExtractor(feature_size=80)


def _make_voxtral() -> tuple[Any, Any]:
    audio = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_mel_bins": 80, "max_source_positions": 1500,
    }  # fmt: skip
    text = {"model_type": "llama", "intermediate_size": 8, "num_key_value_heads": 1, **TEXT}
    config = T.VoxtralConfig(audio_config=audio, text_config=text, audio_token_id=19)
    return config, T.WhisperFeatureExtractor(feature_size=80)


MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "speech_to_text": _make_speech_to_text,
    "moonshine": _make_moonshine,
    "clap": _make_clap,
    "parakeet_ctc": _make_parakeet,
    "qwen2_audio": _make_qwen2_audio,
    "seamless_m4t": _make_seamless_m4t,
    "lasr_ctc": _make_lasr,
    "voxtral": _make_voxtral,
    "mimi": _make_mimi,  # a codec: its parts answer with codes, not with hidden states
}
OUTSIDE = [kind for kind in MAKERS if kind != "mimi"]


def write_tiny_outside(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write config.json, model.safetensors and preprocessor_config.json; return the folder.

    Args:
        kind: One of MAKERS.
        folder: Where to write; made if need be.
        seed: Seed of the weights; torch's generator is left as it was.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config, extractor = MAKERS[kind]()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder
