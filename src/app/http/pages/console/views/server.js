// The server and its machine, what it can do, and its configuration.

import { confirm, toast } from "../dialogs.js";
import { h } from "../dom.js";
import { bitrate, bytes, count, decimal, duration, percent } from "../format.js";

const RAW_API = "http_api {\n    enabled         on;\n    raw_api {\n        enabled         on;\n        allow_reload    on;\n    }\n}";
const FEATURES = {
  ssl: "HTTPS",
  hls: "HLS",
  hds: "HDS",
  callback: "HTTP callbacks",
  httpd: "HTTP server",
  dvr: "Recording",
  transcode: "Transcoding",
  ingest: "Ingest",
  caster: "Stream casters",
};
// The last reload went well.
const RELOADED = 90;
const RELOAD_TRIES = 12;

export class ServerView {
  title = "Server";

  constructor(context) {
    this.context = context;
    this.features = null;
    this.raw = null;
    this.cpu = null;
    this.result = null;
  }

  async load({ api }) {
    const asked = [api.get("/api/v1/raw?rpc=raw"), api.get("/api/v1/self_proc_stats"), api.get("/api/v1/features")];
    const [raw, process, features] = await Promise.all(asked);
    this.raw = raw.http_api;
    this.process = process.data;
    this.features = features.data;
  }

  render({ summaries: { self, system }, vhosts }) {
    if (!this.features) return [h("div", { class: "head" }, h("h1", null, "Server"))];
    return [
      h("div", { class: "head" }, h("h1", null, "Server"), h("span", { class: "tag" }, `Version ${self.version}`)),
      h("div", { class: "columns" }, this.server(self), machine(system), this.configuration(), this.abilities()),
      vhostTable([...vhosts.values()]),
    ];
  }

  server(self) {
    const { process } = this;
    return section("Process", [
      ["Up for", duration(self.srs_uptime)],
      ["Processor", `${percent(self.cpu_percent)} of one core`],
      ["Memory", `${bytes(self.mem_kbyte * 1024)}, ${percent(self.mem_percent)} of the machine's`],
      ["Threads", count(process.num_threads)],
      ["Process id", String(self.pid)],
      ["Command", self.argv, true],
      ["Folder", self.cwd, true],
      ["Built", this.features.build],
    ]);
  }

  configuration() {
    const { enabled, allow_reload: mayReload } = this.raw.raw_api;
    const rows = rowsOf([
      ["API listens at", this.raw.listen],
      ["Pages of other sites", this.raw.crossdomain ? "may use the API" : "may not use the API"],
      ["Orders by the API", enabled ? "on" : "off"],
    ]);
    const isPossible = enabled && mayReload;
    const reload = [
      h("p", { class: "muted" }, "Reads the configuration file again. One with a mistake in it changes nothing."),
      h("button", { type: "button", onclick: () => this.reload() }, "Reload configuration"),
      this.result && h("p", { class: this.result.isBad ? "problem" : "fine", role: "status" }, this.result.text),
    ];
    const how = [
      h("p", { class: "muted" }, "To reload the configuration from here, switch the raw API on and send the server SIGHUP:"),
      h("pre", null, RAW_API),
    ];
    return h("section", { class: "panel facts-panel" }, h("h2", null, "Configuration"), rows, isPossible ? reload : how);
  }

  async reload() {
    const isSure = await confirm({
      title: "Reload the configuration?",
      text: "What changed takes effect at once. Streams whose settings did not change go on.",
      action: "Reload",
      isDangerous: false,
    });
    if (!isSure) return;
    const { api, refresh } = this.context;
    const before = (await api.get("/api/v1/raw?rpc=reload-fetch")).data;
    await api.get("/api/v1/raw?rpc=reload");
    this.result = { text: "Reloading…" };
    refresh();
    for (let tries = 0; tries < RELOAD_TRIES; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      // The API may be away for a moment while its port changes.
      const answer = await api.get("/api/v1/raw?rpc=reload-fetch").catch(() => null);
      const now = answer?.data;
      if (!now || now.rid === before.rid || (now.err === 0 && now.state !== RELOADED)) continue;
      const isBad = now.err !== 0;
      this.result = { isBad, text: isBad ? `Not reloaded, the old configuration stays: ${now.msg}` : "Reloaded." };
      refresh();
      return;
    }
    this.result = null;
    toast("The server does not tell how the reload went", true);
    refresh();
  }

  abilities() {
    const items = Object.entries(FEATURES).map(([key, name]) =>
      h("li", { class: this.features.features[key] ? "yes" : "no" }, name, h("span", { class: "unseen" }, this.features.features[key] ? ": yes" : ": no")),
    );
    return h("section", { class: "panel facts-panel" }, h("h2", null, "What it can do"), h("ul", { class: "abilities" }, items));
  }
}

function machine(system) {
  const load = [system.load_1m, system.load_5m, system.load_15m].map((value) => decimal(value, 2)).join("  ");
  return section("Machine", [
    ["Processors", `${system.cpus_online} of ${system.cpus}, ${percent(system.cpu_percent)} busy`],
    ["Load", `${load} over 1, 5, 15 min`],
    ["Memory", `${percent(system.mem_ram_percent)} of ${bytes(system.mem_ram_kbyte * 1024)}`],
    ["Swap", system.mem_swap_kbyte > 0 ? `${percent(system.mem_swap_percent)} of ${bytes(system.mem_swap_kbyte * 1024)}` : "none"],
    ["Disk", `${bytes(system.disk_read_KBps * 1024)}/s read, ${bytes(system.disk_write_KBps * 1024)}/s written, ${percent(system.disk_busy_percent)} busy`],
    ["Network", `${bytes(system.net_recv_bytes + system.net_recvi_bytes)} in, ${bytes(system.net_send_bytes + system.net_sendi_bytes)} out`],
    ["Sockets", `${count(system.conn_sys)} TCP (${count(system.conn_sys_et)} established, ${count(system.conn_sys_tw)} closing), ${count(system.conn_sys_udp)} UDP`],
    ["Up for", duration(system.uptime)],
  ]);
}

const rowsOf = (rows) =>
  h("dl", null, rows.map(([name, value, isCode]) => h("div", null, h("dt", null, name), h("dd", isCode ? { class: "mono" } : null, value))));

const section = (title, rows) => h("section", { class: "panel facts-panel" }, h("h2", null, title), rowsOf(rows));

function vhostTable(vhosts) {
  const cellOf = (label, value, isNumber = true) => h("td", { "data-label": label, class: isNumber ? "number" : null }, h("span", null, value));
  const row = (vhost) =>
    h(
      "tr",
      { "data-key": vhost.id },
      h("th", { scope: "row" }, vhost.name),
      cellOf("State", vhost.enabled ? "on" : "off", false),
      cellOf("Streams", count(vhost.streams)),
      cellOf("Clients", count(vhost.clients)),
      cellOf("In", vhost.kbps.recv_30s > 0 ? bitrate(vhost.kbps.recv_30s) : "–"),
      cellOf("Out", vhost.kbps.send_30s > 0 ? bitrate(vhost.kbps.send_30s) : "–"),
    );
  const heads = ["Vhost", "State", "Streams", "Clients", "In", "Out"].map((name, index) =>
    h("th", { scope: "col", class: index > 1 ? "number" : null }, name),
  );
  return h(
    "div",
    { class: "panel scroll" },
    h("table", null, h("caption", { class: "unseen" }, "Vhosts"), h("thead", null, h("tr", null, heads)), h("tbody", null, vhosts.map(row))),
  );
}
