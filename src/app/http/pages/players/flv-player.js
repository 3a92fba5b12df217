// Plays FLV, over HTTP or WebSocket.

import { Feeder } from "./feeder.js";
import { Remuxer } from "./flv/remuxer.js";
import { LiveEdge } from "./live-edge.js";
import { notLive, notMedia, undecodable, unknownCodec } from "./problems.js";
import { readHttp, readWebSocket } from "./transport.js";

const TICK_MS = 250;

export class FlvPlayer {
  // `events`: onOpen(), onTracks(tracks), onNotice(text), onProblem(problem).
  constructor(video, { url, isLowLatency }, events) {
    this.video = video;
    this.url = url;
    this.events = events;
    this.received = 0;
    this.tracks = {};
    this.stopper = new AbortController();
    this.edge = new LiveEdge(video, isLowLatency);
  }

  start() {
    try {
      this.feeder = new Feeder(this.video, (problem) => this.fail(problem));
    } catch (problem) {
      this.fail(problem);
      return;
    }
    this.remuxer = new Remuxer({
      onTracks: (tracks) => this.begin(tracks),
      onInit: (type, track, bytes) => this.feeder.init(type, track, bytes),
      onMedia: (type, bytes) => this.feeder.media(type, bytes),
      onUnknown: (type, name) => this.meetUnknown(type, name),
    });
    this.onMediaError = () => this.fail(undecodable(this.video.error?.message));
    this.video.addEventListener("error", this.onMediaError);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.run();
  }

  async run() {
    const read = this.url.startsWith("ws") ? readWebSocket : readHttp;
    try {
      await read(this.url, this.stopper.signal, {
        onOpen: () => this.events.onOpen(),
        onBytes: (bytes) => this.take(bytes),
      });
      this.remuxer.finish();
      this.fail(notLive());
    } catch (error) {
      this.fail(error);
    }
  }

  take(bytes) {
    this.received += bytes.length;
    try {
      this.remuxer.push(bytes);
    } catch (error) {
      throw error instanceof RangeError ? notMedia(error.message) : error;
    }
  }

  begin(tracks) {
    this.tracks = tracks;
    const refused = this.feeder.open(tracks);
    if (refused.length > 0) this.events.onNotice(`No sound: this browser cannot play ${refused.join(" and ")}.`);
    this.events.onTracks(tracks);
  }

  meetUnknown(type, name) {
    if (type === "video") throw unknownCodec(name);
    this.events.onNotice(`No sound: this player does not know ${name}.`);
  }

  tick() {
    this.feeder.tick();
    this.edge.tick();
  }

  fail(error) {
    if (this.stopper.signal.aborted) return;
    // What is still buffered goes on playing at the end of a stream; anything else ends it.
    this.stopper.abort();
    clearInterval(this.timer);
    this.events.onProblem(error.advice ? error : undecodable(error.message));
  }

  get codecs() {
    const { video, audio } = this.tracks;
    return [video, audio].filter(Boolean).map((track) => track.name);
  }

  stop() {
    this.stopper.abort();
    clearInterval(this.timer);
    this.edge.close();
    this.video.removeEventListener("error", this.onMediaError);
    this.feeder?.close();
  }
}
