// Plays what the browser plays by itself: fMP4 over HTTP, and HLS where it knows that, or through hls.js.

import { LiveEdge } from "./live-edge.js";
import { Problem, notLive, probe, undecodable } from "./problems.js";

const TICK_MS = 250;
const HLS_TYPE = "application/vnd.apple.mpegurl";
// Where a site that wants HLS in every browser puts hls.js: below `http_server.dir`.
export const HLS_SCRIPT = "/js/hls.min.js";

class VideoPlayer {
  constructor(video, { url, isLowLatency }, events) {
    this.video = video;
    this.url = url;
    this.events = events;
    this.isStopped = false;
    // The browser does not tell how many bytes came.
    this.received = null;
    this.codecs = [];
    this.edge = new LiveEdge(video, isLowLatency);
    this.stopper = new AbortController();
  }

  start() {
    const listen = (name, act) => this.video.addEventListener(name, act, { signal: this.stopper.signal });
    listen("loadedmetadata", () => {
      this.events.onOpen();
      this.events.onTracks({});
    });
    listen("ended", () => this.fail(notLive()));
    listen("error", () => {
      // A player that is being taken down complains of having nothing to play.
      if (this.video.error && this.video.src) this.explain();
    });
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.load();
  }

  load() {
    this.video.src = this.url;
  }

  tick() {
    this.edge.tick();
  }

  async explain(reason = this.video.error?.message) {
    this.fail((await probe(this.url)) ?? undecodable(reason));
  }

  fail(problem) {
    if (this.isStopped) return;
    clearInterval(this.timer);
    this.events.onProblem(problem);
  }

  stop() {
    this.isStopped = true;
    clearInterval(this.timer);
    this.stopper.abort();
    this.edge.close();
    this.video.removeAttribute("src");
    this.video.load();
  }
}

export class Mp4Player extends VideoPlayer {}

// hls.js first, where the site has it: it says more of what goes wrong, and plays more, than most browsers do.
export class HlsPlayer extends VideoPlayer {
  load() {
    this.loadScript()
      .catch(() => null)
      .then((Hls) => {
        if (this.isStopped) return;
        if (Hls?.isSupported()) this.attach(Hls);
        else if (this.video.canPlayType(HLS_TYPE)) this.video.src = this.url;
        else this.fail(noHls());
      });
  }

  async loadScript() {
    // Browsers without it, on phones mostly, play HLS by themselves.
    if (!globalThis.MediaSource) return null;
    if (!globalThis.Hls) await insertScript(HLS_SCRIPT);
    return globalThis.Hls;
  }

  attach(Hls) {
    this.hls = new Hls({ enableWorker: false });
    this.hls.on("hlsError", (_, data) => {
      if (data.fatal) this.explain(data.details);
    });
    this.hls.loadSource(this.url);
    this.hls.attachMedia(this.video);
  }

  // Segments are the measure here: the browser, or hls.js, decides how near the edge it stays.
  tick() {}

  stop() {
    this.hls?.destroy();
    super.stop();
  }
}

const noHls = () =>
  new Problem("This browser cannot play HLS by itself", `The site can install hls.js as ${HLS_SCRIPT} below http_server.dir.`);

function insertScript(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}
