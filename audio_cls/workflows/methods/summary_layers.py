"""Table of the layers that a linear probe compared, and which one was chosen."""

from __future__ import annotations

from audio_cls.progress import describe_seconds
from audio_cls.runs.results import ProbeResults
from audio_cls.text_table import format_table, wrap_text
from audio_cls.workflows.summary import format_number, metric_title


def format_layers(results: ProbeResults) -> list[str]:
    """Return a heading, one line per candidate, and the reason of the choice."""
    title = metric_title(results.metric or "accuracy")
    seconds = (results.feature_seconds or 0.0, results.fit_seconds or 0.0)
    features, fits = (describe_seconds(one) for one in seconds)
    rows = [["", "layer", title, "log loss", "C"]]
    for one in results.layers:
        mark, loss = "*" if one.is_chosen else "", format_number(one.log_loss)
        rows.append([mark, one.name, format_number(one.score), loss, f"{one.c:g}"])
    heading = f"Layers of the encoder, scored on {results.scored_on}"
    reason = "as it has the smallest log loss"
    if results.scored_on is None:
        heading, reason = "Layer of the encoder", "without a comparison"
    return [
        *wrap_text(heading),
        *(f"  {line}" for line in format_table(rows, "llrrr")),
        *wrap_text(
            f"* saved, {reason}: {describe_choice(results)}. Outputs of all"
            f" layers: {features}{'' if results.num_computed else ' (from the cache)'};"
            f" regressions: {fits}."
        ),
    ]


def describe_choice(results: ProbeResults) -> str:
    """Return which layer of how many was chosen, and how many the saved encoder has."""
    chosen, total = results.chosen, results.total_layers
    return f"layer {chosen.name} of {total}; the encoder keeps {chosen.num_layers}"
