// The picture as it grows, the queue and the pictures of this visit.

import { $, about, duration, get, make, post, remove, view } from "./api.js";

const OFTEN = 500, SELDOM = 2000; // milliseconds between two looks at the news

let news = { version: -1, jobs: [] };
let shown = null; // key of the job on the easel; null: the photo
let given = null; // the photo of the form
let hear = { again: () => {}, awake: () => {} };
let missed = 0;
const met = new Set(); // keys of jobs that were in the news
let planned = { command: "", files: [] };

export function open(listeners) {
  hear = listeners;
  $("stop").addEventListener("click", () => post(`api/jobs/${shown}/stop`).then(look_up));
  $("remove").addEventListener("click", () => remove(`api/jobs/${shown}`).then(() => (look(null), look_up())));
  $("again").addEventListener("click", () => hear.again(job()));
  $("cut").addEventListener("input", () => cut($("cut").value));
  $("copy").addEventListener("click", copy);
  document.addEventListener("visibilitychange", () => document.hidden || look_up());
  watch();
}

export function photo(found) {
  given = found;
  show();
}

export function command(line, files) {
  planned = { command: line, files };
  show_command();
}

// Puts a job on the easel, or the form's photo.
export function look(key) {
  shown = key;
  cut(0);
  show();
  look_up();
}

const job = () => news.jobs.find((each) => each.key === shown);
const is_ahead = (each) => each.state === "waiting" || each.state === "working";

async function watch() {
  await look_up();
  const busy = news.jobs.some(is_ahead) && !document.hidden;
  setTimeout(watch, busy || news.version < 1 ? OFTEN : SELDOM);
}

async function look_up() {
  try {
    const found = await get(`api/news?since=${news.version}`);
    missed = 0;
    if (found) {
      const woke = !news.device && found.device;
      news = found;
      if (woke) hear.awake(news.fetch);
      if (shown === null && !given && news.jobs.length) shown = news.jobs.at(-1).key;
      show();
    }
  } catch {
    missed += 1;
  }
  $("offline").hidden = missed < 3;
}

function cut(percent) {
  $("cut").value = percent;
  $("picture").style.setProperty("--cut", `${percent}%`);
}

function show() {
  show_device();
  const found = job();
  // One that was just asked for is not in the news yet; one that was, is gone.
  if (found) met.add(shown);
  else if (met.has(shown)) shown = null;
  document.body.classList.toggle("working", Boolean(found));
  show_picture(found);
  show_status(found);
  show_history();
  show_command();
  const working = news.jobs.find((each) => each.state === "working");
  document.title = working ? `${Math.floor(working.share * 100)} % – nst_jax` : "nst_jax";
}

function show_device() {
  const chip = $("device");
  if (!news.device && !news.trouble) return;
  chip.textContent = news.trouble || `${news.device}, ${news.precision}`;
  chip.className = `chip ${news.trouble ? "wrong" : "ready"}`;
}

function show_picture(found) {
  const seen = found?.version ? `api/jobs/${found.key}/view?${found.version}` : "";
  const under = found ? view(found.order.photo) : given ? view(given.key) : "";
  $("empty").hidden = Boolean(seen || under);
  $("picture").hidden = !(seen || under);
  if (!(seen || under)) return;
  const [width, height] = found ? [found.width, found.height] : [given.width, given.height];
  $("picture").style.setProperty("--aspect", width / height);
  swap($("after"), seen || under);
  $("after").alt = seen ? "The picture as it is" : "The photo";
  const compares = Boolean(seen);
  for (const id of ["before", "cut", "seam"]) $(id).hidden = !compares;
  if (compares) $("before").src = under;
}

// Shows a picture once it is there, so that nothing flickers.
function swap(image, source) {
  if (image.dataset.source === source) return;
  image.dataset.source = source;
  const next = new Image();
  next.onload = () => image.dataset.source === source && (image.src = source);
  next.src = source;
}

const ENDS = { done: "Finished", stopped: "Stopped", failed: "This did not work" };

function show_status(found) {
  $("status").hidden = !found;
  if (!found) return;
  const working = found.state === "working";
  $("said").replaceChildren(...words(found));
  $("progress").hidden = !is_ahead(found);
  if (working && !found.step) $("progress").removeAttribute("value");
  else $("progress").value = found.share;
  $("fault").hidden = !(found.state === "failed" && found.note);
  $("fault").textContent = found.note;
  $("stop").hidden = !is_ahead(found);
  $("stop").disabled = found.stopping;
  $("stop").textContent = working ? "Stop, keep the picture" : "Take out of the queue";
  $("download").hidden = !found.file;
  if (found.file) Object.assign($("download"), { href: `api/jobs/${found.key}/result`, download: found.file });
  $("again").hidden = $("remove").hidden = is_ahead(found);
}

function words(found) {
  if (found.state === "waiting") {
    const ahead = found.place;
    return [make("b", {}, "Waiting"), make("span", {}, ahead === 1 ? " · one picture is painted first" : ` · ${ahead} pictures come first`)];
  }
  if (found.state === "working") {
    if (found.stopping) return [make("b", {}, "Stopping"), make("span", {}, " · after this step")];
    const bytes = news.fetch[found.order.preset];
    const fetches = bytes > 0 ? ` · the network comes first, ${Math.round(bytes / 1e6)} MB, once` : "";
    if (!found.step) return [make("b", {}, "Getting ready"), make("span", {}, `${fetches} · ${about(found.left)} in all`)];
    return [make("b", {}, `${Math.floor(found.share * 100)} %`), make("span", {}, ` · step ${found.step} of ${found.steps} · ${about(found.left)} left`)];
  }
  const head = make("b", {}, ENDS[found.state]);
  if (found.state === "failed") return [head];
  const steps = found.step < found.steps ? ` after step ${found.step} of ${found.steps}` : "";
  const note = found.state === "stopped" && !found.file ? found.note || " before the first stroke." : `${steps}, in ${duration(found.spent)}. ${found.width} × ${found.height} pixels; its settings are inside.`;
  return [head, make("span", {}, found.note && !found.file ? ` · ${found.note}` : note)];
}

function show_history() {
  $("visit").hidden = !news.jobs.length;
  const old = new Map([...$("history").children].map((each) => [each.dataset.key, each]));
  const items = news.jobs.map((each) => {
    const item = old.get(each.key) ?? entry(each.key);
    fill(item.firstChild, each);
    return item;
  });
  items.reverse();
  const same = items.length === old.size && items.every((item, index) => item === $("history").children[index]);
  if (!same) $("history").replaceChildren(...items);
}

function entry(key) {
  const button = make("button", { type: "button" });
  button.onclick = () => look(key);
  const item = make("li", {}, button);
  item.dataset.key = key;
  return item;
}

function fill(button, each) {
  const source = each.version ? `api/jobs/${each.key}/view?${each.version}` : view(each.order.photo);
  const state = { waiting: `waiting, ${each.place} first`, working: `${Math.floor(each.share * 100)} %`, done: "finished", stopped: "stopped", failed: "did not work" }[each.state];
  if (!button.firstChild) button.append(make("img", { alt: "" }), make("small"));
  swap(button.firstChild, source);
  button.lastChild.textContent = state;
  button.ariaLabel = `Picture ${each.key}, ${state}`;
  button.ariaCurrent = String(each.key === shown);
}

function show_command() {
  const found = job();
  const line = found ? found.command : planned.command;
  $("line").hidden = !line;
  // A line breaks between flags only, and is copied as it is.
  if ($("command").textContent !== line) {
    $("command").replaceChildren(...line.split(/ (?=--)/).flatMap((part, index) => [index ? " " : "", make("span", {}, part)]));
  }
  const files = found ? [] : planned.files;
  $("files").replaceChildren(
    ...(files.length ? ["Beside your pictures it needs ", ...files.flatMap((file, index) => [index ? ", " : "", make("a", { href: file.url, download: file.name }, file.name)]), "."] : []),
  );
}

async function copy() {
  await navigator.clipboard.writeText($("command").textContent).then(
    () => ($("copy").textContent = "Copied"),
    () => getSelection().selectAllChildren($("command")),
  );
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}
