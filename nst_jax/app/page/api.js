// Talking to the program; addresses are relative to the page's own, which holds the token.

export class Refused extends Error {}

async function answered(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const said = await response.json().catch(() => ({}));
  throw new Refused(said.error || "The program did not understand that.");
}

export const get = (path) => fetch(path).then(answered);

export const post = (path, data) =>
  fetch(path, { method: "POST", body: data === undefined ? "" : JSON.stringify(data) }).then(answered);

export const remove = (path) => fetch(path, { method: "DELETE" }).then(answered);

export function handIn(file, name, limit) {
  if (file.size > limit * 1e6) {
    throw new Refused(`This file is larger than the ${limit} MB that the page takes.`);
  }
  return fetch(`api/pictures?name=${encodeURIComponent(name)}`, { method: "POST", body: file }).then(answered);
}

export const view = (key) => `api/pictures/${key}`;

export const $ = (id) => document.getElementById(id);

// An element with attributes and children, so that no text is ever read as HTML.
export function make(tag, given = {}, ...children) {
  const made = Object.assign(document.createElement(tag), given);
  made.append(...children);
  return made;
}

export const about = (seconds) => (seconds < 8 ? "" : "about ") + duration(seconds);

export function duration(seconds) {
  if (seconds < 8) return "a few seconds";
  if (seconds < 50) return `${Math.ceil(seconds / 5) * 5} seconds`;
  if (seconds < 90) return "a minute";
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${(seconds / 3600).toFixed(1)} hours`;
}
