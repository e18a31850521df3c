"""Checkpoints with the shapes of well-known ones and random weights, for speed only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    # ntu-spml/distilhubert: HuBERT base's convolutions and two of its twelve layers
    "distilhubert": ("hubert", {"num_hidden_layers": 2}),
    "wav2vec2": ("wav2vec2", {}),  # facebook/wav2vec2-base
    "whisper": (  # openai/whisper-base
        "whisper",
        {
            "d_model": 512,
            "encoder_layers": 6,
            "encoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_layers": 1,
            "decoder_attention_heads": 8,
            "decoder_ffn_dim": 2048,
        },
    ),
    "ast": ("audio-spectrogram-transformer", {}),  # MIT/ast-finetuned-audioset
    "tiny": (  # no known checkpoint: a network with little computation
        "hubert",
        {
            "num_hidden_layers": 1,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "conv_dim": (16,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        },
    ),
}


def write_checkpoint(shape: str, folder: Path) -> None:
    """Write config.json, model.safetensors and preprocessor_config.json."""
    family, changes = SHAPES[shape]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = transformers.AutoConfig.for_model(family, **changes)
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    library: Any = transformers
    extractors = {
        "whisper": library.WhisperFeatureExtractor,
        "audio-spectrogram-transformer": library.ASTFeatureExtractor,
    }
    kind = extractors.get(family)
    made = kind() if kind else library.Wav2Vec2FeatureExtractor(return_attention_mask=False)
    made.save_pretrained(folder)
