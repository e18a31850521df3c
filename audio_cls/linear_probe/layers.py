"""Layer outputs of a frozen encoder, pooled as the classification head would get them.

One pass of the encoder gives the outputs of all layers. For each candidate the modules after that
layer (final norm, upsampling, mean over frames) then run again on the stored output, so that the
result is what a model that ends there computes. Letters: B windows, C candidates, H hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from audio_cls.inference.forward import find_last_layer
from audio_cls.linear_probe.cut import Candidate, cut_for_trial, plain_head, shortened
from audio_cls.linear_probe.replay import Replay, replaced
from audio_cls.models.finetuning.layer_groups import find_transformer_layers
from audio_cls.models.probe import make_probe_noise, preserve_model_state
from audio_cls.models.processor import WaveProcessor

NOISE_SECONDS = 0.3  # of the trial that shows which candidates a model family allows
TOLERANCE = 1e-4  # of the largest value of a vector: differences by rounding are smaller


class LayerReader:
    """Computes the pooled outputs of all candidates of a classifier in one pass of its encoder."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 (each family has its own fields)
        processor: WaveProcessor,
    ) -> None:
        """Find the modules around the layers, and the candidates, by running the model on noise.

        Args:
            model: A classifier in evaluation mode, on any device. Its state is as before
                afterwards.
            processor: Of its inputs.
        """
        self.model = model
        _, self.layers = find_transformer_layers(model)
        self.last = find_last_layer(model, int(model.config.num_labels or 0))
        samples = round(NOISE_SECONDS * processor.input_spec.sampling_rate)
        noise = make_probe_noise(max(processor.input_spec.min_samples, samples))
        inputs = {name: value.to(model.device) for name, value in processor([noise]).items()}
        with preserve_model_state(model), plain_head(model):
            model.train(mode=False)
            self.front, self.tail = _find_neighbours(model, self.layers, self.last, inputs)
            self.candidates = self._list_candidates(inputs)

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the vector of each candidate, (B, C, H) float32, for a batch on the device."""
        with torch.inference_mode(), plain_head(self.model):
            found = self._read(inputs, self.candidates)
        return torch.stack(found, dim=1).float()

    def _read(self, inputs: Mapping[str, Tensor], candidates: Sequence[Candidate]) -> list[Tensor]:
        """Return the vector (B, H) of each candidate."""
        replay = Replay([*self.front, *self.layers])
        with replaced(replay.forwards):
            self._run(inputs)
            return [self._rerun(inputs, replay, candidate) for candidate in candidates]

    def _rerun(self, inputs: Mapping[str, Tensor], replay: Replay, candidate: Candidate) -> Tensor:
        """Return the vector (B, H) of a candidate from stored outputs of the layers."""
        replay.start()
        skipped = {module: _return_input for module in self.tail if candidate.is_raw}
        with shortened(self.model, candidate.layer), replaced(skipped):
            return self._run(inputs)

    def _run(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Run the model; return the input (B, H) of its last linear layer."""
        seen: list[Tensor] = []
        num_labels = self.last.out_features

        def record(vector: Tensor) -> Tensor:
            seen.append(vector)
            return vector.new_zeros(len(vector), num_labels)

        projector = getattr(self.model, "projector", None)
        forwards = {self.last: record} | ({projector: _return_input} if projector else {})
        with replaced(forwards):
            self.model(**inputs)
        return seen[0]

    def _list_candidates(self, inputs: Mapping[str, Tensor]) -> tuple[Candidate, ...]:
        """Return the candidates that this family allows, those with fewer layers first."""
        count = len(self.layers)
        whole, first = Candidate(count, count), Candidate(1, 1)
        can_cut = count > 1 and self._is_same(inputs, first)
        found = {whole}
        if can_cut:
            found |= {Candidate(number, number) for number in range(1, count)}
        trial = Candidate(count, 1)  # of all layers: transformers sets its hooks up once
        if count > 1 and self._is_same(inputs, trial) and not self._is_equal(inputs, first, trial):
            found |= {
                Candidate(number + 1 if can_cut else count, number) for number in range(1, count)
            }
        return tuple(sorted(found))

    def _is_same(self, inputs: Mapping[str, Tensor], candidate: Candidate) -> bool:
        """Return whether a model that is cut in this way gives the vector that `read` returns."""
        try:
            (found,) = self._read(inputs, [candidate])
            with cut_for_trial(self.model, candidate):
                expected = self._run(inputs)
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError):
            return False
        fits = expected.shape[1:] == (self.width(),)
        return fits and _is_close(found, expected)

    def _is_equal(self, inputs: Mapping[str, Tensor], one: Candidate, other: Candidate) -> bool:
        """Return whether two candidates give the same vectors, as where there is no final norm."""
        return _is_close(*self._read(inputs, [one, other]))

    def width(self) -> int:
        """Return H, the size of the vectors."""
        projector = getattr(self.model, "projector", None)
        return int(self.last.in_features if projector is None else projector.in_features)


def _is_close(found: Tensor, expected: Tensor) -> bool:
    """Return whether two vectors are the same but for rounding."""
    is_same_shape = found.shape == expected.shape
    scale = float(expected.abs().max())
    return is_same_shape and bool((found - expected).abs().max() <= TOLERANCE * scale)


def _return_input(value: Tensor, *_: object, **__: object) -> Tensor:
    """Replace the forward of a module that is skipped."""
    return value


def _find_neighbours(
    model: nn.Module, layers: nn.ModuleList, last: nn.Module, inputs: Mapping[str, Tensor]
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Run a model; return the modules that run before its layers, and those between them and head.

    Of modules in one another only the outer ones are returned.
    """
    events: list[tuple[str, nn.Module]] = []
    with ExitStack() as hooks:
        for module in model.modules():
            hooks.enter_context(
                module.register_forward_pre_hook(lambda one, _: events.append(("start", one)))
            )
            hooks.enter_context(
                module.register_forward_hook(lambda one, *_: events.append(("end", one)))
            )
        model(**inputs)
    first, final = events.index(("start", layers[0])), events.index(("end", layers[-1]))
    head = getattr(model, "projector", getattr(model, "classifier", last))
    stop = events.index(("start", head))
    around = set(model.modules()) - {
        module for module in model.modules() if layers[0] in set(module.modules())
    }
    parts = []
    for span in (events[:first], events[final + 1 : stop]):
        ended = [module for kind, module in span if kind == "end" and module in around]
        inner = {child for module in ended for child in module.modules() if child is not module}
        parts.append([module for module in dict.fromkeys(ended) if module not in inner])
    return parts[0], parts[1]
