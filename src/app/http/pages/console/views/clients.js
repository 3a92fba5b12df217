// All clients, and how to get rid of one.

import { confirm, toast } from "../dialogs.js";
import { h } from "../dom.js";
import { count, duration } from "../format.js";
import { Pager } from "../pager.js";
import { cell, kindText, rateCell } from "./media.js";

// The server's error number for a client that it does not have.
const NO_CLIENT = 2049;

// Those of a stream together, its publisher first, then those that have been there for longest.
const inOrder = (a, b) => a.url.localeCompare(b.url) || Number(b.publish) - Number(a.publish) || b.alive - a.alive;

export class ClientsView {
  title = "Clients";

  constructor(context) {
    this.context = context;
    const words = (client) => [client.ip, client.id, client.url, client.name, client.stream, kindText(client), client.type].join(" ");
    this.pager = new Pager("clients", words, inOrder, context.refresh);
    this.items = null;
  }

  enter({ query }) {
    this.pager.query = query?.get("q")?.toLowerCase() ?? "";
    this.pager.start = 0;
    this.pager.asked = 0;
  }

  async load({ api, summaries }) {
    this.items = await this.pager.load(api, summaries.system.conn_srs);
  }

  render({ summaries }) {
    if (!this.items) return [h("div", { class: "head" }, h("h1", null, "Clients"))];
    return [
      h(
        "div",
        { class: "head" },
        h("h1", null, "Clients", h("span", { class: "total" }, count(summaries.system.conn_srs))),
        this.pager.field("Search clients", "Search by address, stream or kind"),
      ),
      this.items.length > 0 ? this.table() : this.empty(),
      this.pager.controls(this.items.length),
    ];
  }

  empty() {
    const [title, text] = this.pager.query
      ? ["No client fits", "Try fewer letters."]
      : ["Nobody is connected", "Publishers and players appear here as they come."];
    return h("section", { class: "panel empty", "data-key": "none" }, h("h2", null, title), h("p", { class: "muted" }, text));
  }

  table() {
    return h(
      "div",
      { class: "panel scroll", "data-key": "table" },
      h(
        "table",
        null,
        h("caption", { class: "unseen" }, "Clients"),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Address", "Kind", "Stream"].map((name) => h("th", { scope: "col" }, name)),
            ["From client", "To client", "Connected"].map((name) => h("th", { scope: "col", class: "number" }, name)),
            h("th", null, h("span", { class: "unseen" }, "Actions")),
          ),
        ),
        h("tbody", null, this.items.map((client) => this.row(client))),
      ),
    );
  }

  row(client) {
    return h(
      "tr",
      { "data-key": client.id },
      h("th", { scope: "row" }, client.ip, h("small", { class: "mono" }, client.id)),
      cell("Kind", h("span", { class: client.publish ? "tag live" : "tag" }, kindText(client))),
      h("td", { "data-label": "Stream" }, h("a", { href: `#/streams/${encodeURIComponent(client.stream)}` }, client.url.replace(/^\//, ""))),
      rateCell("From client", client.kbps.recv_30s),
      rateCell("To client", client.kbps.send_30s),
      cell("Connected", duration(client.alive), null, { class: "number" }),
      h(
        "td",
        { class: "actions" },
        h(
          "button",
          { type: "button", class: "small danger", "aria-label": `Disconnect ${client.ip}, ${kindText(client)}`, onclick: () => this.kick(client) },
          "Disconnect",
        ),
      ),
    );
  }

  async kick(client) {
    const consequence = client.publish
      ? "The stream ends for everyone who watches it. An encoder may connect again by itself."
      : "It may connect again by itself.";
    const isSure = await confirm({
      title: `Disconnect ${client.ip}?`,
      text: `${kindText(client)} of ${client.url.replace(/^\//, "")}. ${consequence}`,
      action: "Disconnect",
    });
    if (!isSure) return;
    try {
      const { code } = await this.context.api.delete(`/api/v1/clients/${encodeURIComponent(client.id)}`);
      if (code === 0) toast(`${client.ip} is disconnected`);
      else if (code === NO_CLIENT) toast(`${client.ip} has left already`);
      else toast(`${client.ip} cannot be disconnected from outside (code ${code})`, true);
    } catch (error) {
      toast(`The server did not answer: ${error.message}`, true);
    }
    this.pager.asked = 0;
    this.context.refresh();
  }
}
