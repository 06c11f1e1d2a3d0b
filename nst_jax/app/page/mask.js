// Masks painted on top of the photo: where the style goes, what stays recognisable,
// and which painting goes where.

import { $, make, view } from "./api.js";

const LONG = 768; // pixels on a mask's long side
const KEPT = 12; // strokes that can be taken back
export const COLOURS = ["#d1495b", "#2e86ab", "#e0a526", "#4f9d69", "#7d5ba6", "#e07a3f", "#2a9d8f", "#8c6d5a"];
const ABOUT = {
  fill: "What you paint is repainted in the style. All the rest of the photo stays exactly as it is.",
  protect: "What you paint, such as a face, keeps more of the photo.",
  content_mask: "Choose a painting, then paint where it goes. Where nothing is painted the first one goes.",
};

let papers = {}; // by role: a canvas
let before = []; // to be taken back: role and pixels
let paintings = [];
let role = "fill";
let shape = [1, 1];
let last = null; // where the stroke stands
let closed = () => {};

const paint = $("mask-paint");
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value;
const colour = () => (role === "content_mask" ? COLOURS[Number(chosen("which") ?? 1)] : role === "fill" ? COLOURS[1] : COLOURS[3]);

export function forget(...roles) {
  for (const each of roles.length ? roles : Object.keys(ABOUT)) delete papers[each];
  before = [];
}

// Opens the editor on a photo; `keys` are masks handed in before, by role.
export async function edit(photo, given, keys, done) {
  const scale = LONG / Math.max(photo.width, photo.height);
  shape = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * scale)));
  paintings = given;
  closed = done;
  before = [];
  for (const [each, key] of Object.entries(keys)) {
    if (!papers[each]) papers[each] = await restored(each, key);
  }
  $("mask-photo").src = view(photo.key);
  document.querySelector(".mask-frame").style.setProperty("--aspect", photo.width / photo.height);
  [paint.width, paint.height] = shape;
  const several = paintings.length > 1;
  $("role-regions").hidden = !several;
  choose(several && papers.content_mask ? "content_mask" : several || role !== "content_mask" ? role : "fill");
  $("masks").showModal();
}

function choose(next) {
  role = next;
  document.querySelector(`input[name="role"][value="${role}"]`).checked = true;
  $("mask-about").textContent = ABOUT[role];
  $("mask-paintings").replaceChildren(...(role === "content_mask" ? paintings.map(swatch) : []));
  $("mask-all").hidden = role === "content_mask";
  show();
}

function swatch(painting, index) {
  const dot = make("i");
  dot.style.background = COLOURS[index];
  const input = make("input", { type: "radio", name: "which", value: index, checked: index === 1 });
  const image = make("img", { src: view(painting.key), alt: "" });
  return make("label", {}, input, make("span", {}, image, dot, `Painting ${index + 1}`));
}

function paper(create = true) {
  if (!papers[role] && create) papers[role] = blank(role);
  return papers[role];
}

function blank(of) {
  const made = make("canvas", { width: shape[0], height: shape[1] });
  if (of === "content_mask") {
    const pen = made.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = COLOURS[0];
    pen.fillRect(0, 0, ...shape);
  }
  return made;
}

function show() {
  const pen = paint.getContext("2d");
  pen.clearRect(0, 0, ...shape);
  const found = papers[role] ?? (role === "content_mask" ? blank(role) : null);
  if (found) pen.drawImage(found, 0, 0);
  $("mask-undo").disabled = !before.length;
}

function keep() {
  const pen = paper().getContext("2d", { willReadFrequently: true });
  before.push([role, pen.getImageData(0, 0, ...shape)]);
  if (before.length > KEPT) before.shift();
}

const width = () => (Number($("mask-width").value) / 100) * Math.min(...shape);

function place(event) {
  const box = paint.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * shape[0], ((event.clientY - box.top) / box.height) * shape[1]];
}

function stroke(event) {
  const pen = paper().getContext("2d", { willReadFrequently: true });
  const erases = chosen("tool") === "eraser";
  const regions = role === "content_mask";
  pen.globalCompositeOperation = erases && !regions ? "destination-out" : "source-over";
  pen.strokeStyle = erases && regions ? COLOURS[0] : colour();
  pen.lineWidth = width();
  pen.lineCap = pen.lineJoin = "round";
  for (const each of event.getCoalescedEvents?.() ?? [event]) {
    const next = place(each);
    pen.beginPath();
    pen.moveTo(...(last ?? next));
    pen.lineTo(...next);
    pen.stroke();
    last = next;
  }
  if (last === null) {
    last = place(event);
  }
  show();
}

function ring(event) {
  const box = paint.getBoundingClientRect();
  const mark = $("mask-ring");
  const across = (width() / shape[0]) * box.width;
  mark.hidden = event.pointerType === "touch" && event.type !== "pointermove";
  mark.style.left = `${event.clientX - box.left}px`;
  mark.style.top = `${event.clientY - box.top}px`;
  mark.style.width = mark.style.height = `${across}px`;
}

paint.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  event.preventDefault();
  paint.setPointerCapture(event.pointerId);
  keep();
  last = place(event);
  stroke(event);
});
paint.addEventListener("pointermove", (event) => {
  ring(event);
  if (last) stroke(event);
});
for (const end of ["pointerup", "pointercancel"]) paint.addEventListener(end, () => (last = null));
paint.addEventListener("pointerleave", () => ($("mask-ring").hidden = true));

function undo() {
  const found = before.pop();
  if (!found) return;
  papers[found[0]].getContext("2d").putImageData(found[1], 0, 0);
  choose(found[0]);
}

function flood(everything) {
  keep();
  const pen = paper().getContext("2d");
  pen.globalCompositeOperation = "source-over";
  pen.clearRect(0, 0, ...shape);
  if (everything || role === "content_mask") {
    pen.fillStyle = role === "content_mask" ? COLOURS[0] : colour();
    pen.fillRect(0, 0, ...shape);
  }
  show();
}

$("mask-undo").addEventListener("click", undo);
$("mask-all").addEventListener("click", () => flood(true));
$("mask-none").addEventListener("click", () => flood(false));
$("mask-roles").addEventListener("change", (event) => choose(event.target.value));
$("mask-done").addEventListener("click", () => $("masks").close());
$("masks").addEventListener("close", () => closed());
$("masks").addEventListener("keydown", (event) => {
  const by = { "[": -2, "]": 2 }[event.key];
  if (by) $("mask-width").value = Number($("mask-width").value) + by;
  else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  else if (event.key === "b" || event.key === "e") {
    document.querySelector(`input[name="tool"][value="${event.key === "b" ? "brush" : "eraser"}"]`).checked = true;
  } else return;
  event.preventDefault();
});

// The mask of a role as a PNG file, null where nothing is painted.
export async function file(of) {
  const from = papers[of];
  if (!from) return null;
  const pen = from.getContext("2d", { willReadFrequently: true });
  const pixels = pen.getImageData(0, 0, from.width, from.height);
  const painted = of === "content_mask" ? regions(pixels.data) : weights(pixels.data);
  if (!painted) return null;
  const made = make("canvas", { width: from.width, height: from.height });
  made.getContext("2d").putImageData(pixels, 0, 0);
  return new Promise((resolve) => made.toBlob(resolve, "image/png"));
}

// White as far as it is painted, black elsewhere; whether anything is.
function weights(data) {
  let painted = false;
  for (let i = 0; i < data.length; i += 4) {
    data[i] = data[i + 1] = data[i + 2] = data[i + 3];
    painted ||= data[i + 3] > 127;
    data[i + 3] = 255;
  }
  return painted;
}

// A grey for each painting, from black to white; whether there are two.
function regions(data) {
  const known = paintings.map((_, index) => rgb(COLOURS[index]));
  const step = 255 / Math.max(1, known.length - 1);
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) {
    const index = nearest(known, data[i], data[i + 1], data[i + 2]);
    seen.add(index);
    data[i] = data[i + 1] = data[i + 2] = Math.round(index * step);
  }
  return seen.size > 1;
}

function nearest(known, ...sample) {
  let best = 0, least = Infinity;
  known.forEach((each, index) => {
    const far = each.reduce((sum, value, k) => sum + (value - sample[k]) ** 2, 0);
    if (far < least) [best, least] = [index, far];
  });
  return best;
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// A mask that was handed in before, as it was painted.
async function restored(of, key) {
  const image = make("img", { src: view(key) });
  await image.decode();
  const made = make("canvas", { width: shape[0], height: shape[1] });
  const pen = made.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, ...shape);
  const pixels = pen.getImageData(0, 0, ...shape);
  const tint = rgb(of === "fill" ? COLOURS[1] : COLOURS[3]);
  const many = Math.max(1, paintings.length - 1);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const grey = pixels.data[i];
    const shown = of === "content_mask" ? rgb(COLOURS[Math.round((grey / 255) * many)]) : tint;
    shown.forEach((value, k) => (pixels.data[i + k] = value));
    pixels.data[i + 3] = of === "content_mask" ? 255 : grey;
  }
  pen.putImageData(pixels, 0, 0);
  return made;
}
