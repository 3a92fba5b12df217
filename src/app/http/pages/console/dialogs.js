// What the console asks, and short messages.

import { h } from "./dom.js";

const TOAST_MS = 5000;

// Shows a form and waits: gives its fields by name, or null when it was left.
function ask({ title, text, fields = [], action, isDangerous = false, problem = null, canLeave = true }) {
  return new Promise((resolve) => {
    const inputs = fields.map(({ name, label, type = "text", value = "", hint, autocomplete }) =>
      h(
        "div",
        { class: "field" },
        h("label", { for: `ask-${name}` }, label),
        h("input", { type, id: `ask-${name}`, name, value, autocomplete: autocomplete ?? "off", spellcheck: "false", autocapitalize: "off" }),
        hint && h("p", { class: "muted hint" }, hint),
      ),
    );
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "ask-title" }, title),
      text && h("p", { class: "muted" }, text),
      problem && h("p", { class: "problem", role: "alert" }, problem),
      inputs,
      h(
        "div",
        { class: "dialog-end" },
        canLeave && h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { class: `primary${isDangerous ? " danger" : ""}`, value: "done" }, action),
      ),
    );
    const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
    dialog.onclose = () => {
      const given = Object.fromEntries(new FormData(form));
      dialog.remove();
      resolve(dialog.returnValue === "done" ? given : null);
    };
    if (!canLeave) dialog.oncancel = (event) => event.preventDefault();
    document.body.append(dialog);
    dialog.showModal();
  });
}

export async function confirm(question) {
  return (await ask({ ...question, isDangerous: question.isDangerous ?? true })) !== null;
}

export function askLogin(address, problem) {
  return ask({
    title: "Log in",
    text: `The API at ${address} wants a name and a password (http_api.auth).`,
    problem,
    fields: [
      { name: "name", label: "Name", autocomplete: "username" },
      { name: "password", label: "Password", type: "password", autocomplete: "current-password" },
    ],
    action: "Log in",
  });
}

export function askAddresses({ api, media, inUse }, problem) {
  return ask({
    title: "Addresses",
    text: "The console finds the API by itself at its own address or at port 1985. Leave a field empty to let it look.",
    problem,
    fields: [
      { name: "api", label: "HTTP API", value: api, hint: inUse ? `In use: ${inUse}` : "For example server:1985" },
      { name: "media", label: "Media and player pages", value: media, hint: "For example server:8080" },
    ],
    action: "Save",
  });
}

// A message that goes by itself.
export function toast(text, isBad = false) {
  const box = document.getElementById("toasts");
  const message = h("p", { class: isBad ? "toast bad" : "toast" }, text);
  box.append(message);
  setTimeout(() => message.remove(), TOAST_MS);
}
