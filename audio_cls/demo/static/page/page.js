// The page: decodes a clip, runs the model on its windows and shows the scores.

import { AutoFeatureExtractor, AutoModelForAudioClassification, env } from "./lib/transformers.min.js";
import { aggregate, cutWave, listWindows, scale } from "./scoring.js";

const find = (id) => document.getElementById(id);
const NUM_SCORES = 5, MAX_ROWS = 1000, MEGABYTE = 2 ** 20;
const MICROPHONE = { autoGainControl: false, echoCancellation: false, noiseSuppression: false };
let settings, extractor, model, recorder = null;

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = new URL("./", document.baseURI).href;
env.useBrowserCache = false;
env.backends.onnx.wasm.wasmPaths = {
  mjs: new URL("./lib/ort-wasm-simd-threaded.asyncify.mjs", document.baseURI).href,
  wasm: new URL("./lib/ort-wasm-simd-threaded.asyncify.wasm", document.baseURI).href,
};

function show(text, isError = false) {
  find("message").textContent = text;
  find("message").className = isError ? "error" : "";
}

async function load() {
  settings = await (await fetch("settings.json")).json();
  document.title = find("title").textContent = settings.title;
  find("about").textContent = `${settings.labels.length} labels: ${settings.labels.slice(0, 20).join(", ")}`
    + (settings.labels.length > 20 ? " ..." : "");
  for (const path of settings.examples) {
    const button = document.createElement("button");
    button.textContent = path.split("/").pop().replace(/\.wav$/, "");
    button.onclick = async () => classify(await (await fetch(path)).blob());
    find("examples").append(button, " ");
  }
  extractor = await AutoFeatureExtractor.from_pretrained("model");
  model = await AutoModelForAudioClassification.from_pretrained("model", { dtype: settings.dtype, device: "wasm" });
  show("Choose a file, record, or choose an example.");
}

// The duration by the header, in seconds; Infinity where the header has none.
function readDuration(url) {
  return new Promise((resolve) => {
    const audio = new Audio();
    audio.preload = "metadata";
    audio.onloadedmetadata = () => resolve(audio.duration);
    audio.onerror = () => resolve(Infinity);
    audio.src = url;
  });
}

// A file -> mono samples at the rate of the model. Throws an Error with a text for the page.
async function decode(blob, url) {
  const limits = `at most ${settings.max_seconds / 60} minutes and ${settings.max_megabytes} MB`;
  if (blob.size === 0) throw new Error("The file is empty.");
  if (blob.size > settings.max_megabytes * MEGABYTE) throw new Error(`The file is too large: choose a clip of ${limits}.`);
  const duration = await readDuration(url);
  if (Number.isFinite(duration) && duration > settings.max_seconds) {
    throw new Error(`The clip is too long (${duration.toFixed(0)} s): choose one of ${limits}.`);
  }
  let audio;
  try {
    const context = new OfflineAudioContext(1, 1, settings.sampling_rate);
    audio = await context.decodeAudioData(await blob.arrayBuffer());
  } catch {
    throw new Error("This file is not audio that the browser can decode. Choose a WAV, FLAC, MP3 or Ogg file.");
  }
  if (audio.length === 0) throw new Error("The file has no samples.");
  if (audio.duration > settings.max_seconds) throw new Error(`The clip is too long: choose one of ${limits}.`);
  const wave = new Float32Array(audio.length);
  for (let n = 0; n < audio.numberOfChannels; n += 1) {
    audio.getChannelData(n).forEach((value, place) => { wave[place] += value / audio.numberOfChannels; });
  }
  return wave;
}

async function scoreWindows(wave, windows) {
  const logits = [];
  for (const place of windows) {
    const inputs = await extractor(cutWave(wave, place, settings.min_samples));
    const output = await model(inputs);
    logits.push(Array.from(output.logits.data));
    find("progress").value = logits.length / windows.length;
    await new Promise((resolve) => setTimeout(resolve));  // lets the page draw
  }
  return logits;
}

export async function classify(blob) {
  const buttons = document.querySelectorAll("button, input");
  const url = URL.createObjectURL(blob);
  buttons.forEach((button) => { button.disabled = true; });
  find("scores").replaceChildren();
  find("timeline").hidden = find("figure").hidden = true;
  find("player").src = url;
  find("player").hidden = false;
  find("progress").hidden = false;
  show("The clip is being classified.");
  let result = null;
  try {
    const wave = await decode(blob, url);
    const windows = listWindows(wave.length, settings);
    const logits = await scoreWindows(wave, windows);
    const each = logits.map((row) => scale(aggregate([row], { ...settings, aggregate: "first" }), settings));
    result = { scores: scale(aggregate(logits, settings), settings), windows, each };
    showResult(wave, result);
  } catch (error) {
    show(error.message, true);
  }
  find("progress").hidden = true;
  buttons.forEach((button) => { button.disabled = false; });
  return result;
}

function addRow(body, cells) {
  const row = body.insertRow();
  for (const cell of cells) row.insertCell().append(cell);
}

function order(scores) {
  return scores.map((_, n) => n).sort((a, b) => scores[b] - scores[a]);
}

function showResult(wave, { scores, windows, each }) {
  const { labels, sampling_rate: rate, thresholds } = settings;
  let text = `${(wave.length / rate).toFixed(2)} s of audio, ${windows.length} window${windows.length > 1 ? "s" : ""}.`;
  if (settings.is_multilabel) {
    const reached = order(scores).filter((n) => scores[n] >= thresholds[n]).map((n) => labels[n]);
    text += ` Labels that reach their thresholds: ${reached.join("; ") || "none"}.`;
  }
  show(text);
  for (const n of order(scores).slice(0, NUM_SCORES)) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.style.width = `${100 * scores[n]}%`;
    addRow(find("scores"), [labels[n], bar, scores[n].toFixed(3)]);
  }
  const body = find("timeline").tBodies[0];
  body.replaceChildren();
  windows.slice(0, MAX_ROWS).forEach(([start, stop], n) => {
    const best = order(each[n])[0];
    addRow(body, [(start / rate).toFixed(2), (stop / rate).toFixed(2), labels[best], each[n][best].toFixed(3)]);
  });
  find("timeline").hidden = windows.length < 2;
  drawWave(wave);
}

function drawWave(wave) {
  const canvas = find("figure"), context = canvas.getContext("2d");
  const { width, height } = canvas, step = wave.length / width;
  canvas.hidden = false;
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  for (let x = 0; x < width; x += 1) {
    let low = 1, high = -1;
    const stop = Math.min(wave.length, Math.max((x + 1) * step, x * step + 1));
    for (let n = Math.floor(x * step); n < stop; n += 1) {
      low = Math.min(low, wave[n]);
      high = Math.max(high, wave[n]);
    }
    context.fillRect(x, (1 - high) * height / 2, 1, Math.max(1, (high - low) * height / 2));
  }
}

async function record() {
  if (recorder !== null) return recorder.stop();
  const pieces = [];
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
  } catch (error) {
    return show(`The microphone cannot be used: ${error.message}.`, true);
  }
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = () => {
    stream.getTracks().forEach((track) => track.stop());
    const { mimeType } = recorder;
    recorder = null;
    find("record").textContent = "Record";
    classify(new Blob(pieces, { type: mimeType }));
  };
  recorder.start();
  find("record").textContent = "Stop";
  return show("Recording.");
}

find("record").onclick = record;
find("file").onchange = (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) classify(file);
};
load().catch((error) => show(`The model cannot be loaded: ${error.message}. Open the page by http, not as a file.`, true));
