// All streams.

import { h } from "../dom.js";
import { count, duration } from "../format.js";
import { FrameRates } from "../history.js";
import { Pager } from "../pager.js";
import {
  DEFAULT_VHOST,
  audioDetail,
  audioText,
  cell,
  countCell,
  isPlayed,
  playLink,
  rateCell,
  streamPath,
  vhostName,
  videoDetail,
  videoText,
} from "./media.js";
import { nothingLive } from "./overview.js";
import { Publishers } from "./publishers.js";

const inOrder = (a, b) => streamPath(a).localeCompare(streamPath(b), "en", { numeric: true });

export class StreamsView {
  title = "Streams";

  constructor(context) {
    const words = (stream) => [streamPath(stream), vhostName(context, stream.vhost), stream.video?.codec ?? ""].join(" ");
    this.pager = new Pager("streams", words, inOrder, context.refresh);
    this.frames = new FrameRates();
    this.publishers = new Publishers();
    this.items = null;
  }

  async load({ api, vhosts }) {
    this.total = [...vhosts.values()].reduce((sum, vhost) => sum + vhost.streams, 0);
    this.items = await this.pager.load(api, this.total);
    this.frames.add(this.items);
    await this.publishers.learn(api, this.items);
  }

  render(context) {
    if (!this.items) return [h("div", { class: "head" }, h("h1", null, "Streams"))];
    return [
      h(
        "div",
        { class: "head" },
        h("h1", null, "Streams", h("span", { class: "total" }, count(this.total))),
        this.pager.field("Search streams", "Search by name, app or vhost"),
      ),
      this.items.length > 0 ? this.table(context) : this.empty(),
      this.pager.controls(this.items.length),
    ];
  }

  empty() {
    if (!this.pager.query) return nothingLive();
    return h("section", { class: "panel empty", "data-key": "none" }, h("h2", null, "No stream fits"), h("p", { class: "muted" }, "Try fewer letters, or another vhost."));
  }

  table(context) {
    return h(
      "div",
      { class: "panel scroll", "data-key": "table" },
      h(
        "table",
        null,
        h("caption", { class: "unseen" }, "Streams"),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Stream", "Picture", "Sound"].map((name) => h("th", { scope: "col" }, name)),
            ["In", "Out", "Clients", "Live for"].map((name) => h("th", { scope: "col", class: "number" }, name)),
            h("th", null, h("span", { class: "unseen" }, "Actions")),
          ),
        ),
        h("tbody", null, this.items.map((stream) => this.row(context, stream))),
      ),
    );
  }

  row(context, stream) {
    const vhost = vhostName(context, stream.vhost);
    const age = this.publishers.age(stream);
    return h(
      "tr",
      { "data-key": stream.id },
      h(
        "th",
        { scope: "row" },
        h("a", { href: `#/streams/${encodeURIComponent(stream.id)}` }, streamPath(stream)),
        vhost !== DEFAULT_VHOST && h("small", null, vhost),
      ),
      cell("Picture", videoText(stream.video), videoDetail(stream.video, isPlayed(stream) ? this.frames.of(stream.id) : null)),
      cell("Sound", audioText(stream.audio), audioDetail(stream.audio)),
      rateCell("In", stream.kbps.recv_30s),
      rateCell("Out", stream.kbps.send_30s),
      countCell("Clients", stream.clients),
      isPlayed(stream)
        ? cell("Live for", age === null ? "–" : duration(age), null, { class: "number" })
        : cell("Live for", h("span", { class: "tag" }, "Not published"), null, { class: "number" }),
      h(
        "td",
        { class: "actions" },
        h(
          "a",
          { class: "button small", href: playLink(context, stream), target: "_blank", rel: "noopener", "aria-label": `Play ${streamPath(stream)}` },
          "Play",
        ),
      ),
    );
  }
}
