// The server at a glance: figures, charts, and some of what is live.

import { Chart } from "../chart.js";
import { h } from "../dom.js";
import { bitrate, bytes, count, duration, percent } from "../format.js";
import { isPlayed, playLink, streamPath, videoText, vhostName, DEFAULT_VHOST } from "./media.js";

const SPANS = [5, 15, 60];
const SHOWN = 8;

export class OverviewView {
  title = "Overview";

  constructor(context) {
    this.context = context;
    this.minutes = 5;
    this.streams = null;
    this.charts = {
      rates: new Chart({
        title: "Bitrate",
        series: [
          { key: "out", name: "Out", colour: "of-out" },
          { key: "in", name: "In", colour: "of-in" },
        ],
        format: bitrate,
        floor: 100,
      }),
      connections: new Chart({
        title: "Clients",
        series: [{ key: "connections", name: "Connected", colour: "of-out" }],
        format: (value) => count(Math.round(value)),
        floor: 3,
      }),
      cpu: new Chart({
        title: "Processor",
        series: [
          { key: "cpu", name: "Server", colour: "of-out" },
          { key: "machineCpu", name: "Machine", colour: "of-in" },
        ],
        format: percent,
        floor: 0.1,
      }),
      memory: new Chart({
        title: "Memory",
        series: [{ key: "memory", name: "Server", colour: "of-out" }],
        format: bytes,
        floor: 3 << 20,
        base: 2,
      }),
    };
  }

  async load({ api }) {
    this.streams = (await api.get("/api/v1/streams/?start=0&count=50")).streams;
  }

  render(context) {
    const { self, system } = context.summaries;
    const latest = context.history.latest;
    const vhosts = [...context.vhosts.values()];
    const streams = vhosts.reduce((sum, vhost) => sum + vhost.streams, 0);
    const rate = (key) => (latest?.[key] === null || latest?.[key] === undefined ? "–" : bitrate(latest[key]));
    return [
      h("div", { class: "head" }, h("h1", null, "Overview"), this.spans()),
      h(
        "dl",
        { class: "figures panel" },
        figure("Streams", count(streams), "#/streams"),
        figure("Clients", count(system.conn_srs), "#/clients"),
        figure("In", rate("in")),
        figure("Out", rate("out")),
        figure("Processor", percent(self.cpu_percent)),
        figure("Memory", bytes(self.mem_kbyte * 1024)),
        figure("Up for", duration(self.srs_uptime), "#/server"),
      ),
      h("div", { class: "charts", "data-keep": true, "data-key": "charts" }),
      this.live(context, streams),
    ];
  }

  spans() {
    const button = (minutes) =>
      h(
        "button",
        { type: "button", class: "small", "aria-pressed": String(minutes === this.minutes), onclick: () => this.setSpan(minutes) },
        `${minutes} min`,
      );
    return h("div", { class: "segments", role: "group", "aria-label": "Time shown" }, SPANS.map(button));
  }

  setSpan(minutes) {
    this.minutes = minutes;
    this.context.refresh();
  }

  drawn(main, { history }) {
    const box = main.querySelector(".charts");
    const charts = Object.values(this.charts);
    if (box.childElementCount === 0) box.append(...charts.map((chart) => chart.element));
    for (const chart of charts) chart.draw(history.points, this.minutes * 60_000);
  }

  live(context, total) {
    if (!this.streams) return null;
    const live = this.streams.filter(isPlayed).sort((a, b) => b.clients - a.clients);
    if (live.length === 0) return nothingLive();
    return h(
      "section",
      { class: "panel list", "data-key": "live" },
      h("header", null, h("h2", null, "Live now"), total > SHOWN && h("a", { href: "#/streams" }, `All ${count(total)} streams`)),
      h(
        "ul",
        null,
        live.slice(0, SHOWN).map((stream) =>
          h(
            "li",
            { "data-key": stream.id },
            h(
              "div",
              { class: "name" },
              h("a", { href: `#/streams/${encodeURIComponent(stream.id)}` }, streamPath(stream)),
              h("small", null, [hostOf(context, stream), videoText(stream.video)].filter(Boolean).join(" · ")),
            ),
            h("span", { class: "number wide" }, stream.kbps.recv_30s > 0 ? bitrate(stream.kbps.recv_30s) : ""),
            h("span", { class: "number" }, `${count(stream.clients)} ${stream.clients === 1 ? "client" : "clients"}`),
            h("a", { class: "button small", href: playLink(context, stream), target: "_blank", rel: "noopener" }, "Play"),
          ),
        ),
      ),
    );
  }
}

const hostOf = (context, stream) => {
  const name = vhostName(context, stream.vhost);
  return name === DEFAULT_VHOST ? "" : name;
};

const figure = (name, value, href) =>
  h("div", null, h("dt", null, name), h("dd", null, href ? h("a", { href }, value) : value));

export const nothingLive = () =>
  h(
    "section",
    { class: "panel empty", "data-key": "nothing" },
    h("h2", null, "Nothing is live"),
    h("p", { class: "muted" }, "Streams appear here as soon as an encoder publishes. To try it:"),
    h("pre", null, `ffmpeg -re -i video.flv -c copy -f flv rtmp://${location.hostname}/live/livestream`),
  );
