// The form: pictures, settings, masks; and what is asked of the program with them.

import { $, Refused, duration, get, handIn, make, post, view } from "./api.js";
import * as easel from "./easel.js";
import * as masks from "./mask.js";

const MASK_WORDS = { fill: "paint only here", protect: "keep recognisable", content_mask: "which painting where" };
const STRENGTH = 0.7; // where the slider begins with our own settings
const STORE = `nst_jax ${location.pathname}`;
const EMPTY = { photo: null, paintings: [], preset: "", earlier: null, masks: {}, settings: {}, suffix: ".png" };

let first = { presets: [], given: [], limit: 64 };
let base = {}; // the settings that the form's own override
let order = { ...EMPTY, ...JSON.parse(sessionStorage.getItem(STORE) ?? "{}") };
for (const mask of Object.values(order.masks)) delete mask.url; // gone with the page that made it
let asked = 0; // which question to the program is the latest

function said(error) {
  const known = error instanceof Refused ? error.message : "The program does not answer. Has it ended?";
  if (!(error instanceof Refused)) console.error(error);
  $("trouble").textContent = known;
  $("trouble").hidden = false;
}

const quiet = () => ($("trouble").hidden = true);

function sent() {
  const settings = { ...order.settings };
  const shares = order.paintings.map((each) => each.share ?? 50);
  const mixes = shares.length > 1 && !order.masks.content_mask;
  if (mixes && shares.some((share) => share !== shares[0])) settings.style_weights = shares.join(",");
  return {
    photo: order.photo?.key ?? "",
    paintings: order.paintings.map((each) => each.key),
    preset: order.earlier ? "" : order.preset,
    earlier: order.earlier?.key ?? "",
    masks: Object.fromEntries(Object.entries(order.masks).map(([role, mask]) => [role, mask.key])),
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
    suffix: order.suffix,
  };
}

// Pictures

async function take(role, files, zone) {
  quiet();
  zone?.classList.add("busy");
  try {
    for (const file of files) {
      const found = await handIn(file, file.name || "picture.png", first.limit);
      if (role === "earlier") await begin_from(found);
      else if (role === "photo") photo(found);
      else order.paintings.push(found);
      if (role === "painting" && order.paintings.length > 1) drop_masks("content_mask");
      if (role !== "earlier" && found.settings) offer(found);
    }
  } catch (error) {
    said(error);
  }
  zone?.classList.remove("busy");
  show();
}

function photo(found) {
  order.photo = found;
  drop_masks();
  easel.look(null);
}

function drop_masks(...roles) {
  masks.forget(...roles);
  for (const role of roles.length ? roles : Object.keys(order.masks)) delete order.masks[role];
}

// An earlier result was dropped as a picture: its settings may be wanted.
function offer(found) {
  const use = make("button", { type: "button", className: "link", textContent: "use them" });
  use.onclick = () => begin_from(found).then(show, said);
  $("earlier").replaceChildren(`${found.name} holds settings: `, use, ".");
  $("earlier").hidden = false;
}

async function begin_from(found) {
  const { settings, notes } = await get(`api/beginning?earlier=${found.key}`);
  order.earlier = found;
  order.settings = {};
  base = settings;
  told_of_earlier(notes);
}

function told_of_earlier(notes) {
  const away = make("button", { type: "button", className: "link", textContent: "leave them" });
  away.onclick = () => choose(order.preset || first.preset).catch(said);
  $("earlier").replaceChildren(`The settings are those of ${order.earlier.name}. `, ...notes.map((note) => `${note} `), away, ".");
  $("earlier").hidden = false;
}

async function choose(preset) {
  const { settings } = await get(`api/beginning?preset=${encodeURIComponent(preset)}`);
  Object.assign(order, { preset, earlier: null, settings: {} });
  if (preset === "default" && !first.given.includes("strength")) order.settings.strength = STRENGTH;
  base = settings;
  $("earlier").hidden = true;
  show();
}

// What is seen of it

function show() {
  sessionStorage.setItem(STORE, JSON.stringify(order));
  show_photo();
  show_paintings();
  show_settings();
  easel.photo(order.photo);
  $("photo-zone").classList.toggle("full", Boolean(order.photo));
  $("painting-zone").classList.toggle("full", order.paintings.length > 0);
  ask();
}

function show_photo() {
  const found = order.photo;
  $("photo-card").hidden = !found;
  document.querySelector("#photo-zone .drop").hidden = Boolean(found);
  if (found) {
    const image = $("photo-card").querySelector("img");
    image.src = view(found.key);
    image.alt = `The photo ${found.name}`;
    $("photo-card").querySelector("figcaption").textContent = `${found.name}, ${found.width} × ${found.height}`;
  }
  const tags = Object.keys(order.masks).map((role) => {
    const away = make("button", { type: "button", textContent: "×", ariaLabel: `Take the mask away: ${MASK_WORDS[role]}` });
    away.onclick = () => (drop_masks(role), show());
    return make("li", {}, `Mask: ${MASK_WORDS[role]}`, away);
  });
  $("mask-list").replaceChildren(...tags);
}

function show_paintings() {
  const several = order.paintings.length > 1;
  $("paintings").classList.toggle("one", !several);
  $("paintings").replaceChildren(
    ...order.paintings.map((found, index) => {
      const away = make("button", { type: "button", className: "quiet icon", textContent: "×", ariaLabel: `Take ${found.name} away`, title: "Take away" });
      away.onclick = () => {
        order.paintings.splice(index, 1);
        drop_masks("content_mask");
        show();
      };
      const made = make("li", {}, make("img", { src: view(found.key), alt: `The painting ${found.name}` }), away);
      if (several) made.append(dot(index), share(found, index));
      return made;
    }),
  );
}

function dot(index) {
  const made = make("span", { className: "dot", textContent: index + 1 });
  made.style.background = masks.COLOURS[index];
  return made;
}

function share(found, index) {
  const made = make("input", { type: "range", min: 5, max: 100, step: 5, value: found.share ?? 50, title: "Its share" });
  made.ariaLabel = `Share of painting ${index + 1}`;
  made.hidden = Boolean(order.masks.content_mask);
  made.onchange = () => {
    found.share = Number(made.value);
    show();
  };
  return made;
}

const value = (name) => order.settings[name] ?? base[name];

function show_settings() {
  const preset = first.presets.find((each) => each.name === order.preset);
  $("preset").value = order.earlier ? "" : order.preset;
  $("preset").options[0].hidden = !order.earlier;
  $("preset-about").textContent = order.earlier || !preset ? "" : preset.about;
  show_strength();
  const size = value("size");
  for (const each of document.querySelectorAll('input[name="size"]')) each.checked = Number(each.value) === Number(size);
  $("size").value = Number(size) || Math.max(order.photo?.width ?? 0, order.photo?.height ?? 0) || "";
  const scale = Number(value("style_scale") ?? 1);
  $("brush").value = Math.log2(scale);
  $("brush-said").textContent = Math.abs(scale - 1) < 0.02 ? "as in the painting" : `${Math.round(scale * 100)} %`;
  for (const each of document.querySelectorAll('input[name="color"]')) each.checked = each.value === value("color");
  for (const name of ["steps", "init", "seed"]) $(name).value = value(name);
  $("seed-field").hidden = !["noise", "blend"].includes(value("init"));
  $("suffix").value = order.suffix;
}

function show_strength() {
  const strength = value("strength");
  const unset = strength === null || strength === undefined;
  $("strength").value = unset ? 0.5 : strength;
  $("strength").classList.toggle("unset", unset);
  $("strength-said").textContent = unset ? "as it comes" : `${Math.round(strength * 100)} %`;
  $("strength-reset").hidden = unset || base.strength !== null || order.settings.strength === undefined;
}

function set(name, to) {
  if (to === "" || to === null || String(to) === String(base[name])) delete order.settings[name];
  else order.settings[name] = to;
  show();
}

// Asks what the order means: its command line, its size, its time.
async function ask() {
  const mine = ++asked;
  const ready = order.photo && order.paintings.length;
  $("go").disabled = !ready;
  if (!ready) {
    $("estimate").textContent = "";
    return;
  }
  try {
    const plan = await post("api/plan", sent());
    if (mine !== asked) return;
    quiet();
    const about = plan.measured ? "about" : "roughly";
    $("estimate").textContent = `${plan.width} × ${plan.height} pixels, ${about} ${duration(plan.seconds)}`;
    easel.command(plan.command, files());
  } catch (error) {
    if (mine !== asked) return;
    $("estimate").textContent = "";
    $("go").disabled = true;
    easel.command("", []);
    said(error);
  }
}

// The masks that the command line names, to be kept beside the other pictures.
const files = () => Object.values(order.masks).filter((mask) => mask.url).map((mask) => ({ name: mask.name, url: mask.url }));

async function start(event) {
  event.preventDefault();
  $("go").disabled = true;
  try {
    const { key } = await post("api/jobs", sent());
    easel.look(key);
    if (matchMedia("(max-width: 860px)").matches) $("stage").scrollIntoView({ behavior: "smooth", block: "start" });
  } catch (error) {
    said(error);
  }
  setTimeout(() => ($("go").disabled = !(order.photo && order.paintings.length)), 600);
}

// Settings of a picture of this visit, again.
async function again(job) {
  const found = job.order;
  try {
    order = {
      ...EMPTY,
      photo: await known(found.photo),
      paintings: await Promise.all(found.paintings.map(known)),
      preset: found.preset || first.preset,
      earlier: found.earlier ? await known(found.earlier) : null,
      masks: Object.fromEntries(await Promise.all(Object.entries(found.masks).map(async ([role, key]) => [role, await known(key)]))),
      settings: { ...found.settings },
      suffix: found.suffix,
    };
    const shares = (found.settings.style_weights ?? "").split(",").map(Number);
    if (shares.length > 1) order.paintings.forEach((each, index) => (each.share = shares[index]));
    delete order.settings.style_weights;
    masks.forget();
    await refresh();
  } catch (error) {
    said(error);
  }
}

const known = (key) => get(`api/pictures/${key}/about`);

async function refresh() {
  const from = order.earlier ? `earlier=${order.earlier.key}` : `preset=${encodeURIComponent(order.preset)}`;
  const { settings, notes } = await get(`api/beginning?${from}`);
  base = settings;
  if (order.earlier) told_of_earlier(notes);
  else $("earlier").hidden = true;
  show();
}

// Masks

async function masked() {
  quiet();
  try {
    for (const role of Object.keys(MASK_WORDS)) {
      const blob = await masks.file(role);
      if (!blob) {
        delete order.masks[role];
        continue;
      }
      const name = { fill: "where.png", protect: "keep.png", content_mask: "regions.png" }[role];
      if (order.masks[role]?.url) URL.revokeObjectURL(order.masks[role].url);
      order.masks[role] = { ...(await handIn(blob, name, first.limit)), url: URL.createObjectURL(blob) };
    }
  } catch (error) {
    said(error);
  }
  show();
}

function edit() {
  const keys = Object.fromEntries(Object.entries(order.masks).map(([role, mask]) => [role, mask.key]));
  masks.edit(order.photo, order.paintings, keys, masked).catch(said);
}

// What the page listens to

function files_of(id, role) {
  const zone = $(id).closest(".zone");
  $(id).addEventListener("change", () => {
    take(role, [...$(id).files], zone);
    $(id).value = "";
  });
}

function dropping() {
  const zones = { photo: $("photo-zone"), painting: $("painting-zone") };
  const over = (event) => {
    const zone = event.target.closest?.(".zone");
    return zone === zones.painting || (!zone && order.photo) ? "painting" : "photo";
  };
  const mark = (role) => Object.entries(zones).forEach(([name, zone]) => zone.classList.toggle("over", name === role));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(over(event));
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? mark(null));
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    give(over(event), [...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => give(order.photo ? "painting" : "photo", [...(event.clipboardData?.files ?? [])]));
}

function give(role, files) {
  if (!files.length || $("masks").open) return;
  const one = role === "photo" ? files.slice(0, 1) : files;
  take(role, one, $(`${role}-zone`));
}

function listen() {
  files_of("photo-file", "photo");
  files_of("painting-file", "painting");
  files_of("earlier-file", "earlier");
  dropping();
  $("form").addEventListener("submit", start);
  $("photo-clear").addEventListener("click", () => (photo(null), show()));
  $("photo-mask").addEventListener("click", edit);
  $("preset").addEventListener("change", () => choose($("preset").value).catch(said));
  $("strength").addEventListener("input", () => ($("strength-said").textContent = `${Math.round($("strength").value * 100)} %`));
  $("strength").addEventListener("change", () => set("strength", $("strength").value));
  $("strength-reset").addEventListener("click", () => set("strength", null));
  $("sizes").addEventListener("change", (event) => event.target.value && set("size", event.target.value));
  $("brush").addEventListener("change", () => set("style_scale", Number((2 ** $("brush").value).toFixed(2))));
  $("colors").addEventListener("change", (event) => set("color", event.target.value));
  for (const name of ["steps", "init", "seed"]) $(name).addEventListener("change", () => set(name, $(name).value));
  $("suffix").addEventListener("change", () => {
    order.suffix = $("suffix").value;
    show();
  });
  $("theme").addEventListener("click", () => theme(!is_dark()));
}

const is_dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
}

// What must be fetched for each preset is known once the program is awake.
function fetched(sizes) {
  for (const option of $("preset").options) {
    const found = sizes[option.value];
    const words = first.presets.find((each) => each.name === option.value)?.words;
    if (!words || found === undefined) continue;
    option.disabled = typeof found === "string";
    option.textContent = found === 0 ? words : option.disabled ? `${words} (not to be had)` : `${words} (fetches ${Math.round(found / 1e6)} MB)`;
  }
}

async function open() {
  if (localStorage.getItem("theme")) theme(localStorage.getItem("theme") === "dark");
  listen();
  easel.open({ again, awake: fetched });
  first = await get("api/first");
  const options = first.presets.map((each) => make("option", { value: each.name, textContent: each.words }));
  $("preset").replaceChildren(make("option", { value: "", textContent: "As in an earlier picture" }), ...options);
  if (order.preset) await refresh().catch(() => ((order = { ...EMPTY }), choose(first.preset)));
  else await choose(first.preset);
}

open().catch(said);
