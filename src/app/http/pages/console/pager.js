// A part of a long list: a page of it from the server, or what fits a search among all of it.

import { h } from "./dom.js";
import { count } from "./format.js";

const PAGE = 25;
// The most that the API gives at once.
const ALL = 10_000;
// All of a long list is asked for again only so often, ms.
const PATIENCE_MS = 10_000;
const LONG = 500;
// A list up to this length is taken whole, so that it can be sorted; the server knows no order but that of its ids.
const SHORT = 250;

export class Pager {
  // `kind`: streams or clients; `words(item)`: what a search looks into; `compare`: the order of short lists and of what
  // is found; `redraw()`: the page or the search changed.
  constructor(kind, words, compare, redraw) {
    Object.assign(this, { kind, words, compare, redraw, start: 0, query: "", all: null, asked: 0 });
  }

  search(query) {
    this.query = query.trim().toLowerCase();
    this.start = 0;
    this.asked = 0;
    this.redraw();
  }

  move(pages) {
    this.start = Math.max(0, this.start + pages * PAGE);
    this.redraw();
  }

  // The items to show now, of about `total`.
  async load(api, total) {
    if (this.query === "" && total > SHORT) {
      // One more than shown tells whether there is another page.
      const items = (await api.get(`/api/v1/${this.kind}/?start=${this.start}&count=${PAGE + 1}`))[this.kind];
      if (items.length === 0 && this.start > 0) {
        this.start = Math.max(0, this.start - PAGE);
        return this.load(api, total);
      }
      this.found = null;
      this.hasMore = items.length > PAGE;
      return items.slice(0, PAGE);
    }
    const isOld = !this.all || this.all.length < LONG || Date.now() - this.asked > PATIENCE_MS;
    if (isOld || this.asked === 0) {
      this.all = (await api.get(`/api/v1/${this.kind}/?start=0&count=${ALL}`))[this.kind];
      this.asked = Date.now();
    }
    const parts = this.query.split(/\s+/);
    const found = this.all.filter((item) => {
      const text = this.words(item).toLowerCase();
      return parts.every((part) => text.includes(part));
    });
    found.sort(this.compare);
    this.found = found.length;
    this.start = Math.min(this.start, Math.max(0, Math.floor((found.length - 1) / PAGE) * PAGE));
    this.hasMore = found.length > this.start + PAGE;
    return found.slice(this.start, this.start + PAGE);
  }

  field(label, placeholder) {
    return h(
      "div",
      { class: "search", "data-keep": true, "data-key": `search-${this.kind}` },
      h("label", { class: "unseen", for: `search-${this.kind}` }, label),
      h("input", {
        type: "search",
        id: `search-${this.kind}`,
        placeholder,
        value: this.query,
        spellcheck: "false",
        oninput: (event) => this.search(event.target.value),
      }),
    );
  }

  controls(shown) {
    if (shown === 0 || (this.start === 0 && !this.hasMore)) return null;
    const range = `${count(this.start + 1)} – ${count(this.start + shown)}`;
    const of = this.found === null ? "" : ` of ${count(this.found)}`;
    return h(
      "nav",
      { class: "pager", "aria-label": "Pages" },
      h("span", { class: "muted", role: "status" }, range + of),
      h("button", { type: "button", class: "small", disabled: this.start === 0, onclick: () => this.move(-1) }, "Previous"),
      h("button", { type: "button", class: "small", disabled: !this.hasMore, onclick: () => this.move(1) }, "Next"),
    );
  }
}
