// Windows, aggregation and temperature, as in audio_cls (audio/windows, inference/aggregation).

const MIN_PROBABILITY = 5e-7;

const SHARE_OF_REST = 20; // the end of a clip is used if it is at least 1 / 20 of a window

// Start and stop of the windows of a clip of `length` samples; the last one ends with the clip.
export function listWindows(length, { window, hop, aggregate, repeat_short }) {
  if (length <= window || aggregate === "first") {
    return [[0, repeat_short ? window : Math.min(window, length)]];
  }
  const starts = [];
  for (let start = 0; start <= length - window; start += hop) starts.push(start);
  const rest = length - window - starts[starts.length - 1];
  if (rest > 0 && SHARE_OF_REST * rest >= window) starts.push(length - window);
  return starts.map((start) => [start, start + window]);
}

// Samples from start to stop; the wave is repeated after its end, then padded to `minimum` by zeros.
export function cutWave(wave, [start, stop], minimum) {
  const cut = new Float32Array(Math.max(stop - start, minimum));
  for (let n = start; n < stop; n += 1) cut[n - start] = wave[n % wave.length];
  return cut;
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

export function softmax(values) {
  const top = values.reduce((a, b) => Math.max(a, b));
  const powers = values.map((value) => Math.exp(value - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

const mean = (rows) => rows[0].map((_, n) => rows.reduce((sum, row) => sum + row[n], 0) / rows.length);

function argmax(values) {
  return values.reduce((best, value, n) => (value > values[best] ? n : best), 0);
}

// Logits of the windows, an array each -> probabilities of the clip.
export function aggregate(logits, { aggregate: how, is_multilabel }) {
  const toProbabilities = (row) => (is_multilabel ? row.map(sigmoid) : softmax(row));
  if (how === "first") return toProbabilities(logits[0]);
  if (how === "mean-logit") return toProbabilities(mean(logits));
  if (how === "vote") {
    const votes = logits.map((row) => {
      const best = argmax(row);
      return row.map((value, n) => Number(is_multilabel ? value >= 0 : n === best));
    });
    return mean(votes);
  }
  const rows = logits.map(toProbabilities);
  const merged = how === "max" ? rows[0].map((_, n) => Math.max(...rows.map((row) => row[n]))) : mean(rows);
  const sum = merged.reduce((a, b) => a + b);
  return is_multilabel ? merged : merged.map((value) => value / sum);
}

// Probabilities after temperature scaling.
export function scale(probabilities, { temperature, is_multilabel }) {
  if (temperature === 1) return probabilities;
  if (is_multilabel) {
    return probabilities.map((value) => {
      const clipped = Math.min(Math.max(value, MIN_PROBABILITY), 1 - MIN_PROBABILITY);
      return sigmoid(Math.log(clipped / (1 - clipped)) / temperature);
    });
  }
  return softmax(probabilities.map((value) => Math.log(Math.max(value, MIN_PROBABILITY)) / temperature));
}
