// The page: a picture or a camera frame goes to /v1/segment, which answers with raw class ids; colours are drawn here.

const at = (id) => document.getElementById(id);
const canvas = at("canvas"), paint = canvas.getContext("2d"), video = at("video");
const LONGEST_SIDE = 2048; // larger pictures are made smaller before they are sent
const STAGES = { decode: "decode", queue: "wait", input: "pre-process", infer: "network", output: "post-process", encode: "encode" };

let models = [];
let listing = null; // the models' list, while it is under way
let maxPixels = Infinity;
let shown = null; // { picture, ids, width, height, model }
let stream = null;
let request = null; // the one under way

class Failure extends Error {}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (at("key").value) headers["X-API-Key"] = at("key").value;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) at("key-row").hidden = false;
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Failure(body.error ?? `the server answered ${response.status}`);
  }
  return response;
}

function listModels() {
  listing ??= fetchModels().finally(() => (listing = null));
  return listing;
}

async function fetchModels() {
  const answer = await (await call("/v1/models")).json();
  models = answer.models;
  maxPixels = answer.max_pixels;
  at("model").replaceChildren(...models.map(({ name }) => new Option(name)));
}

function say(text, isError = false) {
  at("message").textContent = text;
  at("message").classList.toggle("error", isError);
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

/** A canvas with the picture, at most LONGEST_SIDE long and no larger than the server takes. */
function scaled(source, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height), Math.sqrt(maxPixels / (width * height)));
  const picture = document.createElement("canvas");
  picture.width = Math.max(1, Math.floor(width * scale));
  picture.height = Math.max(1, Math.floor(height * scale));
  picture.getContext("2d").drawImage(source, 0, 0, picture.width, picture.height);
  return picture;
}

async function openFile(file) {
  stopCamera();
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Failure("this file is not a picture that the browser can read");
  }
  const picture = scaled(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  await segment(picture);
}

async function segment(picture) {
  request?.abort();
  const own = (request = new AbortController());
  at("stage").classList.add("busy");
  try {
    if (!models.length) await listModels(); // a picture may be there first
    const body = await new Promise((done) => picture.toBlob(done, "image/jpeg", 0.95));
    const query = new URLSearchParams({ output: "raw" });
    if (at("model").value) query.set("model", at("model").value);
    if (at("fit").value) query.set("fit", at("fit").value);
    const start = performance.now();
    const response = await call(`/v1/segment?${query}`, { method: "POST", body, signal: own.signal });
    const data = await response.arrayBuffer();
    const total = performance.now() - start;
    const ids = response.headers.get("X-Datatype") === "int32" ? new Int32Array(data) : new Uint8Array(data);
    const model = models.find(({ name }) => name === response.headers.get("X-Model"));
    shown = { picture, ids, width: picture.width, height: picture.height, model };
    show(total, response.headers.get("Server-Timing") ?? "");
  } finally {
    if (request === own) {
      request = null;
      at("stage").classList.remove("busy");
    }
  }
}

function show(total, timing) {
  canvas.width = shown.width;
  canvas.height = shown.height;
  canvas.hidden = false;
  at("hint").hidden = true;
  at("stage").classList.add("filled");
  at("result").hidden = false;
  drawOverlay();
  drawLegend();
  drawTimes(total, timing);
  say("");
}

function drawOverlay() {
  if (!shown) return;
  const { picture, ids, width, height, model } = shown;
  const strength = at("opacity").value / 100;
  paint.drawImage(picture, 0, 0);
  const image = paint.getImageData(0, 0, width, height), pixels = image.data;
  const tints = model.classes.map(({ colour }) => colour.map((value) => value * strength));
  for (let i = 0, p = 0; i < ids.length; i++, p += 4) {
    const tint = tints[ids[i]];
    pixels[p] = pixels[p] * (1 - strength) + tint[0];
    pixels[p + 1] = pixels[p + 1] * (1 - strength) + tint[1];
    pixels[p + 2] = pixels[p + 2] * (1 - strength) + tint[2];
  }
  paint.putImageData(image, 0, 0);
  at("save").hidden = false;
}

function drawLegend() {
  const counts = new Map();
  for (const id of shown.ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const rows = shown.model.classes.filter(({ id }) => counts.has(id)).map(({ id, name, colour }) => {
    const row = document.createElement("li"), swatch = document.createElement("i"), share = document.createElement("b");
    row.dataset.id = id;
    swatch.style.background = `rgb(${colour})`;
    const percent = (100 * counts.get(id)) / shown.ids.length;
    share.textContent = percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
    row.append(swatch, name, share);
    return row;
  });
  at("legend").replaceChildren(...rows);
}

function drawTimes(total, timing) {
  const stages = timing.split(", ").map((part) => part.match(/^(\w+);dur=([\d.]+)$/)).filter(Boolean)
    .map(([, name, ms]) => [STAGES[name] ?? name, Number(ms)]);
  const served = stages.reduce((sum, [, ms]) => sum + ms, 0);
  const rows = [...stages, ["transfer", Math.max(0, total - served)], ["total", total]];
  at("times").replaceChildren(...rows.flatMap(([name, ms]) => {
    const label = document.createElement("span"), bar = document.createElement("meter"), number = document.createElement("span");
    label.textContent = name;
    bar.max = total;
    bar.value = ms;
    number.textContent = `${ms.toFixed(1)} ms`;
    return [label, bar, number];
  }));
}

function point(event) {
  if (!shown) return;
  const box = canvas.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * shown.width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * shown.height);
  const inside = x >= 0 && y >= 0 && x < shown.width && y < shown.height;
  const id = inside ? shown.ids[y * shown.width + x] : -1;
  at("pointed").hidden = !inside;
  if (inside) at("pointed").textContent = shown.model.classes[id].name;
  for (const row of at("legend").children) row.classList.toggle("on", Number(row.dataset.id) === id);
}

async function startCamera() {
  if (!navigator.mediaDevices) throw new Failure("browsers give pages a camera only over HTTPS or on localhost");
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  video.srcObject = stream;
  await video.play();
  at("camera").textContent = "Stop camera";
  const own = stream;
  while (stream === own) {
    await segment(scaled(video, video.videoWidth, video.videoHeight));
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("camera").textContent = "Camera";
}

function again() {
  if (shown && !stream) guarded(() => segment(shown.picture));
}

at("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) guarded(() => openFile(file));
  event.target.value = "";
});
at("camera").addEventListener("click", () => {
  if (stream) stopCamera();
  else guarded(startCamera).finally(stopCamera);
});
at("model").addEventListener("change", again);
at("fit").addEventListener("change", again);
at("opacity").addEventListener("input", drawOverlay);
at("key").addEventListener("change", () => guarded(async () => {
  await listModels();
  say(""); // the key was asked for; at the start of the page a message may be about a picture
}));
at("save").addEventListener("click", () => {
  at("save").href = canvas.toDataURL("image/png");
  at("save").download = "overlay.png";
});
canvas.addEventListener("pointermove", point);
canvas.addEventListener("pointerdown", point);
canvas.addEventListener("pointerleave", () => {
  at("pointed").hidden = true;
  for (const row of at("legend").children) row.classList.remove("on");
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("stage").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) guarded(() => openFile(event.dataTransfer.files[0]));
  });
}
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) guarded(() => openFile(file));
});

guarded(listModels);
