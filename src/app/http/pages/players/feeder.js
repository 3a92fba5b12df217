// Gives fMP4 to a <video> through Media Source Extensions (W3C), one buffer for each track, and keeps the buffers short.

import { noMediaSource, undecodable, unknownCodec } from "./problems.js";

// Media that was shown is kept for so long, and cut off in steps of this length; seconds.
const KEEP_BEHIND = 10;
const STEP_BEHIND = 20;
// What waits for its turn may be so large before the oldest of it goes; bytes.
const QUEUE_LIMIT = 32 << 20;

const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

export const mimeOf = (track) => `${track.type}/mp4; codecs="${track.codec}"`;

export const isPlayable = (track) => Boolean(Source?.isTypeSupported(mimeOf(track)));

export class Feeder {
  constructor(video, onProblem) {
    if (!Source) throw noMediaSource();
    this.video = video;
    this.onProblem = onProblem;
    this.buffers = {};
    this.source = new Source();
    this.address = URL.createObjectURL(this.source);
    this.opened = new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, { once: true }));
    // What a managed source asks for before it opens.
    video.disableRemotePlayback = true;
    video.src = this.address;
  }

  // Prepares a buffer for each of these tracks; must come before their media. Tracks that the browser cannot play are
  // left out, and named in what is returned. Throws when none is left.
  open(tracks) {
    const all = Object.values(tracks);
    const refused = all.filter((track) => !isPlayable(track));
    const left = all.filter((track) => isPlayable(track));
    if (refused.some((track) => track.type === "video")) throw unknownCodec(refused[0].name);
    if (left.length === 0) throw unknownCodec(refused.map((track) => track.name).join(" and ") || "this");
    for (const track of left) this.buffers[track.type] = { queue: [], size: 0, mime: mimeOf(track), buffer: null };
    this.opened.then(() => this.createBuffers()).catch((error) => this.fail(error));
    return refused.map((track) => track.name);
  }

  createBuffers() {
    if (this.source.readyState !== "open") return;
    this.source.duration = Infinity;
    for (const entry of Object.values(this.buffers)) {
      entry.buffer = this.source.addSourceBuffer(entry.mime);
      entry.buffer.addEventListener("updateend", () => this.work(entry));
      entry.buffer.addEventListener("error", () => this.fail(undecodable(this.video.error?.message)));
    }
    for (const entry of Object.values(this.buffers)) this.work(entry);
  }

  // A track's set-up, when it begins and when it changes.
  init(type, track, bytes) {
    const mime = mimeOf(track);
    if (this.buffers[type] && !isPlayable(track)) throw unknownCodec(track.name);
    this.push(type, { mime, bytes });
  }

  media(type, bytes) {
    this.push(type, { bytes });
  }

  push(type, job) {
    const entry = this.buffers[type];
    if (!entry) return;
    entry.queue.push(job);
    entry.size += job.bytes.length;
    while (entry.size > QUEUE_LIMIT && entry.queue.length > 1) {
      const at = entry.queue.findIndex((waiting) => !waiting.mime);
      if (at < 0) break;
      entry.size -= entry.queue.splice(at, 1)[0].bytes.length;
    }
    this.work(entry);
  }

  work(entry) {
    const { buffer } = entry;
    if (!buffer || buffer.updating || this.source.readyState !== "open" || this.video.error) return;
    try {
      if (this.trim(buffer)) return;
      const job = entry.queue[0];
      if (!job) return;
      if (job.mime && job.mime !== entry.mime) {
        buffer.changeType(job.mime);
        entry.mime = job.mime;
      }
      buffer.appendBuffer(job.bytes);
      entry.queue.shift();
      entry.size -= job.bytes.length;
    } catch (error) {
      // Full: what was shown makes room, or else the next tick tries again.
      if (error.name === "QuotaExceededError") this.trim(buffer, 1);
      else this.fail(error);
    }
  }

  // Removes what was shown long ago; gives whether it did.
  trim(buffer, step = STEP_BEHIND) {
    const { buffered } = buffer;
    const now = this.video.currentTime;
    if (buffered.length === 0 || now - buffered.start(0) < KEEP_BEHIND + step) return false;
    buffer.remove(0, now - KEEP_BEHIND);
    return true;
  }

  tick() {
    for (const entry of Object.values(this.buffers)) this.work(entry);
  }

  fail(error) {
    if (this.address) this.onProblem(error.advice ? error : undecodable(error.message));
  }

  close() {
    URL.revokeObjectURL(this.address);
    this.address = null;
    for (const entry of Object.values(this.buffers)) entry.queue = [];
    this.video.removeAttribute("src");
    this.video.load();
  }
}
