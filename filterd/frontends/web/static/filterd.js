// Keys, choosing many, and nothing that the pages need: without this file everything works with links and buttons.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")];
const boxes = () => [...document.querySelectorAll("[data-row] input[type=checkbox]")];
const at = () => document.querySelector("[data-row].at");

function go(step) {
  const all = rows(), now = all.indexOf(at());
  const next = all[Math.max(0, Math.min(all.length - 1, now + step))];
  if (!next) return;
  at()?.classList.remove("at");
  next.classList.add("at");
  next.querySelector(".subject a")?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function count() {
  const chosen = boxes().filter((box) => box.checked).length;
  const shown = document.querySelector("[data-chosen]");
  if (shown) shown.textContent = chosen ? `${chosen} ${shown.dataset.chosen}` : "";
  const all = document.querySelector("[data-all]");
  if (!all) return;
  all.hidden = false;
  all.checked = chosen > 0 && chosen === boxes().length;
  all.indeterminate = chosen > 0 && !all.checked;
}

function choose(row) {
  const box = row?.querySelector("input[type=checkbox]");
  if (box) { box.checked = !box.checked; count(); }
}

function press(key) {
  const button = document.querySelector(`button[data-key="${key}"]`);
  if (!button) return;
  if (boxes().length && !boxes().some((box) => box.checked)) choose(at());
  if (!boxes().length || boxes().some((box) => box.checked)) button.click();
}

const keys = {
  j: () => go(1), ArrowDown: () => go(1), k: () => go(-1), ArrowUp: () => go(-1),
  x: () => choose(at()),
  o: () => at()?.querySelector(".subject a")?.click(),
  r: () => press("r"), d: () => press("d"), s: () => press("s"), h: () => press("h"),
  a: () => press("a"), b: () => press("b"),
  z: () => (document.querySelector("#undo button") ?? document.querySelector('button[data-key="z"]'))?.click(),
  u: () => document.querySelector("[data-back]")?.click(),
  "/": () => document.querySelector("input[type=search]")?.select(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key.startsWith("Arrow") && !rows().length) return;
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches("input[type=checkbox]")) count();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
});

function arrive() {
  for (const button of document.querySelectorAll("[data-keys]")) button.hidden = false;
  for (const time of document.querySelectorAll("time")) time.title = new Date(time.dateTime).toLocaleString();
  count();
}
document.addEventListener("htmx:load", arrive);
arrive();
