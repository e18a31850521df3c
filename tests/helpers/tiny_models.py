"""Twelve tiny audio checkpoints with random weights, one for each family that classifies sound.

They have the families' true structure (seven convolutions, SpecAugment, squeezing, patches) at
width 16 to 32, and are saved as pretrained encoders are: without a classifier, with the feature
extractor of their family.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

FAMILIES: list[str] = sorted(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES)

TRANSFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "classifier_proj_size": 16,
}
QUANTIZER = {"num_codevectors_per_group": 8, "codevector_dim": 8, "proj_codevector_dim": 8}
CONVOLUTIONS = {  # a frame each 20 ms, as in the real ones
    "conv_dim": (16,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    **QUANTIZER,
}
CONFORMER = {"conv_depthwise_kernel_size": 5}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "classifier_proj_size": 16,
    "vocab_size": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
SHAPES: dict[str, dict[str, Any]] = {
    "audio-spectrogram-transformer": {**TRANSFORMER, "num_mel_bins": 32},
    "data2vec-audio": {**TRANSFORMER, **CONVOLUTIONS, "conv_pos_kernel_size": 5},
    "wav2vec2-bert": {
        **TRANSFORMER,
        **QUANTIZER,
        **CONFORMER,
        "feature_projection_input_dim": 160,
    },
    "wav2vec2-conformer": {
        **TRANSFORMER,
        **CONVOLUTIONS,
        **CONFORMER,
        "feat_extract_norm": "layer",
    },
    "whisper": WHISPER,
}


def write_tiny_checkpoint(family: str, folder: Path, seed: int = 0, **overrides: Any) -> Path:  # noqa: ANN401
    """Write config.json, model.safetensors and preprocessor_config.json of a tiny encoder.

    Args:
        family: One of FAMILIES.
        folder: Where to write; made if need be.
        seed: Seed of the weights; torch's generator is left as it was.
        overrides: Settings of the family's configuration, such as `feat_extract_norm="layer"`.

    Returns:
        `folder`.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    shape = SHAPES.get(family, {**TRANSFORMER, **CONVOLUTIONS})
    config = transformers.AutoConfig.for_model(family, **{**shape, **overrides})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    make_extractor(family, config).save_pretrained(folder)
    return folder


def make_extractor(family: str, config: Any) -> Any:  # noqa: ANN401
    """Make the feature extractor that the family's published checkpoints have."""
    library: Any = transformers
    if family == "whisper":
        return library.WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    if family == "audio-spectrogram-transformer":
        return library.ASTFeatureExtractor(
            num_mel_bins=config.num_mel_bins, max_length=config.max_length
        )
    if family == "wav2vec2-bert":
        return library.SeamlessM4TFeatureExtractor()
    is_masked = getattr(config, "feat_extract_norm", "group") == "layer"
    return library.Wav2Vec2FeatureExtractor(return_attention_mask=is_masked)
