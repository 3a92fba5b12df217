// What the overlay tells of a session.

import { h, update } from "./dom.js";
import { bitrate, bytes, count, decimal } from "./format.js";

const PERIOD_MS = 1000;

export class Statistics {
  constructor(video, box) {
    this.video = video;
    this.box = box;
    this.last = null;
    this.timer = null;
  }

  // `session()` is the one that plays now, or null.
  start(session) {
    this.box.hidden = false;
    const tick = () => this.draw(session());
    this.timer = setInterval(tick, PERIOD_MS);
    tick();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.box.hidden = true;
  }

  draw(session) {
    const player = session?.player;
    const rows = player ? this.rows(player) : [["State", "Not playing"]];
    update(this.box, rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }

  rows(player) {
    const { video } = this;
    const quality = video.getVideoPlaybackQuality();
    const rates = this.rates(quality.totalVideoFrames, player.received);
    const behind = player.edge.behind;
    return [
      ["Picture", video.videoWidth > 0 ? `${video.videoWidth} × ${video.videoHeight}` : "none"],
      ["Codecs", player.codecs.join(", ") || "chosen by the browser"],
      ["Frames", rates.fps === null ? "–" : `${decimal(rates.fps, 0)} a second`],
      ["Dropped", `${count(quality.droppedVideoFrames)} of ${count(quality.totalVideoFrames)}`],
      ["Behind live", `${decimal(behind, 2)} s`],
      ["Buffer", `${decimal(bufferLength(video), 1)} s`],
      ["Speed", `${decimal(video.playbackRate, 2)} ×`],
      ["Received", player.received === null ? "not told" : bytes(player.received)],
      ["Rate", rates.kbps === null ? "–" : bitrate(rates.kbps)],
    ];
  }

  rates(frames, received) {
    const now = performance.now();
    const { last } = this;
    this.last = { now, frames, received };
    const seconds = last ? (now - last.now) / 1000 : 0;
    const isFirst = seconds <= 0.2 || frames < last.frames || received < last.received;
    if (isFirst) return { fps: null, kbps: null };
    return {
      fps: (frames - last.frames) / seconds,
      kbps: received === null ? null : ((received - last.received) * 8) / 1000 / seconds,
    };
  }
}

function bufferLength(video) {
  let length = 0;
  for (let i = 0; i < video.buffered.length; i++) length += video.buffered.end(i) - video.buffered.start(i);
  return length;
}
