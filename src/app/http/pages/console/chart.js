// A line chart over time, as SVG.

import { h, svg } from "./dom.js";

const HEIGHT = 168;
const PADDING = { top: 10, right: 2, bottom: 22, left: 0 };
// Tops of a scale as multiples of a power, each with the lines that divide it into round parts.
const STEPS = {
  10: [[1, 4], [1.5, 3], [2, 4], [3, 3], [4, 4], [5, 5], [6, 3], [8, 4], [10, 5]],
  2: [[1, 4], [1.5, 3], [2, 4]],
};
// Lengths of time that a chart shows, ms.
const SPANS = [1, 2, 5, 15, 30, 60].map((minutes) => minutes * 60_000);
// Measurements further apart than this are not joined: the tab slept, or the server was away.
const GAP_MS = 100_000;

export class Chart {
  // `series`: [{ key, name, colour (a custom property) }]; `format` writes a value; `floor`: the least that the top of
  // the scale stands for; `base`: what its round steps are powers of.
  constructor({ title, series, format, floor = 1, base = 10 }) {
    this.series = series;
    this.format = format;
    this.floor = floor;
    this.base = base;
    this.title = title;
    this.points = [];
    this.wanted = 5 * 60_000;
    this.values = series.map(({ name, colour }) => {
      const value = h("b", null, "–");
      return { value, node: h("span", { class: `legend ${colour}` }, h("i", { "aria-hidden": "true" }), `${name} `, value) };
    });
    this.time = h("span", { class: "muted chart-time" });
    this.graphic = svg("svg", { role: "img", height: HEIGHT, "aria-label": title });
    const legend = h("p", { class: "chart-legend" }, this.values.map(({ node }) => node), this.time);
    this.element = h("section", { class: "panel chart" }, h("h2", null, title), legend, this.graphic);
    this.graphic.onpointermove = (event) => this.point(event);
    this.graphic.onpointerleave = () => this.leave();
    this.observer = new ResizeObserver(() => this.draw(this.points, this.wanted));
    this.observer.observe(this.graphic);
  }

  draw(points, span) {
    this.points = points;
    this.wanted = span;
    this.span = this.fitting(span);
    const width = this.graphic.clientWidth;
    if (width === 0) return;
    this.end = points.at(-1)?.time ?? Date.now();
    this.visible = points.filter((point) => point.time >= this.end - this.span);
    this.scale(Math.max(this.floor, ...this.seen()));
    this.width = width;
    this.graphic.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.graphic.replaceChildren(...this.grid(), ...this.lines());
    this.graphic.setAttribute("aria-label", this.describe());
    if (!this.isPointed) this.tell(this.visible.at(-1), false);
  }

  // As long as is wanted, or shorter while there is less to show.
  fitting(span) {
    const age = this.points.length > 1 ? this.points.at(-1).time - this.points[0].time : 0;
    return Math.min(span, SPANS.find((length) => length >= age) ?? span);
  }

  // The next round number above, and how many lines divide it into round parts.
  scale(most) {
    const power = this.base ** Math.floor(Math.log(most) / Math.log(this.base) + 1e-9);
    const [step, lines] = STEPS[this.base].find(([step]) => step * power >= most * 0.9999);
    this.top = step * power;
    this.gridLines = lines;
  }

  seen() {
    const all = this.series.flatMap(({ key }) => this.visible.map((point) => point[key]));
    return all.filter((value) => value !== null && value !== undefined);
  }

  x(time) {
    const inner = this.width - PADDING.left - PADDING.right;
    return PADDING.left + inner * (1 - (this.end - time) / this.span);
  }

  y(value) {
    return PADDING.top + (HEIGHT - PADDING.top - PADDING.bottom) * (1 - value / this.top);
  }

  grid() {
    const parts = [];
    for (let i = 0; i <= this.gridLines; i++) {
      const value = (this.top * i) / this.gridLines;
      const y = Math.round(this.y(value)) + 0.5;
      parts.push(svg("line", { class: i === 0 ? "axis" : "grid", x1: 0, x2: this.width, y1: y, y2: y }));
      if (i > 0) parts.push(svg("text", { class: "tick", x: 0, y: y + 13 }, round(this.format(value))));
    }
    const ago = (time) => (time < 120_000 ? `${Math.round(time / 1000)} s ago` : `${time / 60_000} min ago`);
    for (const part of [1, 0.5, 0]) {
      const label = part === 0 ? "now" : ago(this.span * part);
      const anchor = { 1: "start", 0.5: "middle", 0: "end" }[part];
      parts.push(svg("text", { class: "tick", x: this.width * (1 - part), y: HEIGHT - 5, "text-anchor": anchor }, label));
    }
    return parts;
  }

  lines() {
    return this.series.flatMap(({ key, colour }, index) => {
      const runs = this.runs(key);
      const shapes = runs.map((run) => run.map(({ time, value }) => `${this.x(time).toFixed(1)},${this.y(value).toFixed(1)}`));
      const bottom = this.y(0);
      const areas = shapes.map((shape, i) => {
        const [from, to] = [this.x(runs[i][0].time), this.x(runs[i].at(-1).time)];
        return svg("path", { class: `area ${colour}`, d: `M${from},${bottom}L${shape.join("L")}L${to},${bottom}Z` });
      });
      const curves = shapes.map((shape) => svg("polyline", { class: `line ${colour}`, points: shape.join(" ") }));
      const dots = runs.filter((run) => run.length === 1).map(([{ time, value }]) =>
        svg("circle", { class: `dot ${colour}`, cx: this.x(time), cy: this.y(value), r: 2 }));
      return index === 0 ? [...areas, ...curves, ...dots] : [...curves, ...dots];
    });
  }

  runs(key) {
    const runs = [];
    let last = null;
    for (const point of this.visible) {
      if (point[key] === null || point[key] === undefined) continue;
      if (!last || point.time - last.time > GAP_MS) runs.push([]);
      last = { time: point.time, value: point[key] };
      runs.at(-1).push(last);
    }
    return runs;
  }

  point(event) {
    if (!this.visible?.length) return;
    const at = event.clientX - this.graphic.getBoundingClientRect().left;
    const distance = (point) => Math.abs(this.x(point.time) - at);
    const nearest = this.visible.reduce((best, point) => (distance(point) < distance(best) ? point : best));
    this.isPointed = true;
    this.graphic.querySelector(".cursor")?.remove();
    const x = this.x(nearest.time);
    this.graphic.append(svg("line", { class: "cursor", x1: x, x2: x, y1: PADDING.top, y2: this.y(0) }));
    this.tell(nearest, true);
  }

  leave() {
    this.isPointed = false;
    this.graphic.querySelector(".cursor")?.remove();
    this.tell(this.visible?.at(-1), false);
  }

  tell(point, isPast) {
    this.series.forEach(({ key }, index) => {
      const value = point?.[key];
      this.values[index].value.textContent = value === null || value === undefined ? "–" : this.format(value);
    });
    this.time.textContent = isPast ? new Date(point.time).toLocaleTimeString() : "";
  }

  describe() {
    const now = this.visible.at(-1);
    const parts = this.series.map(({ key, name }) => {
      const value = now?.[key];
      return `${name} ${value === null || value === undefined ? "unknown" : this.format(value)}`;
    });
    return `${this.title} over the last ${this.span / 60_000} minutes. Now: ${parts.join(", ")}.`;
  }
}

// Without decimals that tell nothing: `8.00 MiB` is `8 MiB`.
const round = (text) => text.replace(/\.0+(?=\D|$)/, "");
