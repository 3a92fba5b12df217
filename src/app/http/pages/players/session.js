// One stream being played: starts the player that fits, tries again where that is worth it, and tells the page.

import { FlvPlayer } from "./flv-player.js";
import { HlsPlayer, Mp4Player } from "./native-player.js";
import { buildUrl } from "./link.js";

const PLAYERS = { flv: FlvPlayer, "ws-flv": FlvPlayer, mp4: Mp4Player, hls: HlsPlayer };
// A connection that brings nothing for so long waits for its publisher, most likely.
const SILENCE_MS = 2500;
const RETRY_MS = [1000, 2000, 3000, 5000, 10_000];

export class Session {
  // `show(state, details)` with the states connecting, waiting, playing, retrying and failed;
  // `onNotice(text)`; `onMuted()` when the browser only plays without sound.
  constructor(video, wanted, { show, onNotice, onMuted }) {
    this.video = video;
    this.wanted = wanted;
    this.url = buildUrl(wanted);
    this.show = show;
    this.onNotice = onNotice;
    this.onMuted = onMuted;
    this.tries = 0;
    this.begin();
  }

  begin() {
    this.show("connecting", { url: this.url });
    const events = {
      onOpen: () => this.expect(),
      onTracks: () => this.tracksCame(),
      onNotice: this.onNotice,
      onProblem: (problem) => this.meet(problem),
    };
    const Player = PLAYERS[this.wanted.protocol];
    this.player = new Player(this.video, { url: this.url, isLowLatency: this.wanted.isLowLatency }, events);
    this.onPlaying = () => {
      this.tries = 0;
      clearTimeout(this.silence);
      this.show("playing");
    };
    this.video.addEventListener("playing", this.onPlaying);
    this.silence = setTimeout(() => this.show("waiting"), SILENCE_MS);
    this.player.start();
  }

  expect() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.show("waiting"), SILENCE_MS);
  }

  tracksCame() {
    clearTimeout(this.silence);
    this.play();
  }

  async play() {
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.video.muted) return;
      this.video.muted = true;
      this.onMuted();
      await this.video.play().catch(() => this.show("blocked"));
    }
  }

  meet(problem) {
    this.end();
    if (!problem.isPassing) {
      this.show("failed", { problem });
      return;
    }
    const pause = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)];
    this.show("retrying", { problem, pause });
    this.retry = setTimeout(() => this.begin(), pause);
  }

  end() {
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    this.video.removeEventListener("playing", this.onPlaying);
    this.player?.stop();
    this.player = null;
  }
}
