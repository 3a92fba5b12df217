// One stream: what it is made of, its rates over time, and who publishes it.

import { Chart } from "../chart.js";
import { h } from "../dom.js";
import { bitrate, bytes, count, duration } from "../format.js";
import { FrameRates } from "../history.js";
import { audioDetail, audioText, isPlayed, kindText, playLink, streamPath, vhostName, videoDetail, videoText } from "./media.js";
import { Publishers } from "./publishers.js";

const SPAN_MS = 5 * 60_000;
// The server's error number for a stream that it does not have.
const NO_STREAM = 2048;

export class StreamView {
  title = "Stream";

  constructor(context) {
    this.context = context;
  }

  enter({ id }) {
    this.id = id;
    this.stream = null;
    this.isGone = false;
    this.points = [];
    this.frames = new FrameRates();
    this.publishers = new Publishers();
    this.chart = new Chart({
      title: "Bitrate",
      series: [
        { key: "out", name: "Out", colour: "of-out" },
        { key: "in", name: "In", colour: "of-in" },
      ],
      format: bitrate,
      floor: 100,
    });
  }

  leave() {
    this.chart.observer.disconnect();
  }

  async load({ api }) {
    const answer = await api.get(`/api/v1/streams/${encodeURIComponent(this.id)}`);
    this.isGone = answer.code === NO_STREAM || !answer.stream;
    if (this.isGone) return;
    this.stream = answer.stream;
    this.frames.add([this.stream]);
    this.measure();
    await this.publishers.learn(api, [this.stream]);
  }

  measure() {
    const { live_ms: time, recv_bytes: received, send_bytes: sent } = this.stream;
    const { last } = this;
    this.last = { time, received, sent };
    const isOn = last && time > last.time && received >= last.received && sent >= last.sent && this.points.length > 0;
    // Bits a millisecond are kilobits a second.
    const rate = (now, before) => (isOn ? ((now - before) * 8) / (time - last.time) : null);
    this.points.push({ time, in: rate(received, last?.received), out: rate(sent, last?.sent) });
    this.points = this.points.filter((point) => point.time > time - SPAN_MS);
  }

  render(context) {
    if (!this.stream) return [this.crumbs(), this.isGone ? this.gone() : null];
    const { stream } = this;
    return [
      this.crumbs(),
      h(
        "div",
        { class: "head" },
        h("h1", { class: "wrap" }, streamPath(stream)),
        h("span", { class: this.isGone || !isPlayed(stream) ? "tag" : "tag live" }, this.isGone ? "Gone" : isPlayed(stream) ? "Live" : "Not published"),
        h(
          "div",
          { class: "head-end" },
          h("a", { class: "button", href: `#/clients?q=${encodeURIComponent(stream.id)}` }, `${count(stream.clients)} ${stream.clients === 1 ? "client" : "clients"}`),
          h("a", { class: "button primary", href: playLink(context, stream), target: "_blank", rel: "noopener" }, "Play"),
        ),
      ),
      this.facts(context),
      h("div", { class: "charts single", "data-keep": true, "data-key": "chart" }),
    ];
  }

  crumbs() {
    return h("p", { class: "crumbs" }, h("a", { href: "#/streams" }, "Streams"));
  }

  gone() {
    return h("section", { class: "panel empty" }, h("h2", null, "This stream is gone"), h("p", { class: "muted" }, "Nobody publishes or plays it any more."));
  }

  facts(context) {
    const { stream } = this;
    const publisher = this.publishers.of(stream);
    const age = this.publishers.age(stream);
    const facts = [
      ["Vhost", vhostName(context, stream.vhost)],
      ["Picture", [videoText(stream.video), videoDetail(stream.video, this.frames.of(stream.id))].filter(Boolean).join(" · ")],
      ["Sound", [audioText(stream.audio), audioDetail(stream.audio)].filter(Boolean).join(" · ")],
      ["Received", bytes(stream.recv_bytes)],
      ["Sent", bytes(stream.send_bytes)],
      ["Frames", count(stream.frames)],
      ["Live for", isPlayed(stream) && age !== null ? duration(age) : "–"],
      ["Publisher", publisher ? `${publisher.ip} · ${kindText(publisher)} · ${publisher.id}` : "–"],
      ["Published to", stream.tcUrl || "–"],
    ];
    return h("dl", { class: "facts panel" }, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }

  drawn(main) {
    const box = main.querySelector(".charts");
    if (!box) return;
    if (box.firstChild !== this.chart.element) box.replaceChildren(this.chart.element);
    this.chart.draw(this.points, SPAN_MS);
  }
}
