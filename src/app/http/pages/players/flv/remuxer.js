// FLV in, one fMP4 stream for each track out: what Media Source Extensions take. Knows nothing of the network or the
// page, so that tests feed it files.

import { describe as describeAv1, describeVp9 } from "../codec/av1.js";
import { describeAac, describeMp3, describeOpus } from "../codec/audio.js";
import { describe as describeAvc } from "../codec/avc.js";
import { describe as describeHevc } from "../codec/hevc.js";
import { mediaSegment } from "../mp4/fragment.js";
import { initSegment } from "../mp4/init.js";
import { FlvReader } from "./reader.js";
import { readAudio, readVideo } from "./tags.js";
import { Timeline } from "./timeline.js";

const AUDIO_TAG = 8;
const VIDEO_TAG = 9;
const SCRIPT_TAG = 18;
const VIDEO_TIMESCALE = 1000;
// How long a track that the header promises is waited for once the other one has begun, ms.
const PATIENCE_MS = 1000;
// A jump of an audio clock that is taken for one, rather than for milliseconds being rounded; in seconds.
const AUDIO_DRIFT = 0.1;

const DESCRIBE = {
  avc: describeAvc,
  hevc: describeHevc,
  av1: describeAv1,
  vp9: describeVp9,
  aac: describeAac,
  mp3: describeMp3,
  opus: describeOpus,
};

export class Remuxer {
  // `onTracks(tracks)` is called once, when it is clear what is inside: { video, audio }, either may be missing.
  // `onInit(type, track, bytes)` follows for each track, and again when its configuration changes;
  // `onMedia(type, bytes)` for media; `onUnknown(type, name)` for a codec that has no place here.
  constructor({ onTracks, onInit, onMedia, onUnknown }) {
    this.events = { onTracks, onInit, onMedia, onUnknown };
    this.reader = new FlvReader();
    this.timeline = new Timeline();
    this.metadataSize = null;
    this.tracks = {};
    this.isStarted = false;
    this.firstFrame = null;
    this.sequence = 1;
  }

  // Takes the next bytes of the stream. Throws RangeError for what is no FLV.
  push(bytes) {
    for (const tag of this.reader.push(bytes)) {
      if (tag.type === VIDEO_TAG) this.take("video", readVideo(tag.data), tag.time);
      else if (tag.type === AUDIO_TAG) this.take("audio", readAudio(tag.data), tag.time);
      else if (tag.type === SCRIPT_TAG) this.metadataSize ??= readSize(tag.data);
    }
    if (this.isStarted) this.flush();
  }

  // The last frame of each track waits for the next one, which tells how long it lasts; this sends it off.
  finish() {
    if (!this.isStarted && Object.keys(this.tracks).length > 0) this.start();
    this.flush(true);
  }

  take(type, packet, time) {
    if (!packet) return;
    if (packet.unknown) {
      if (this.tracks[type] !== null) this.events.onUnknown?.(type, packet.unknown);
      this.tracks[type] = null;
      return;
    }
    if (packet.kind === "config") this.configure(type, packet);
    else this.takeFrame(type, packet, time);
  }

  configure(type, { codec, data }) {
    const old = this.tracks[type];
    if (old && old.codecId === codec && isSame(old.source, data)) return;
    const description = DESCRIBE[codec](data.slice());
    if (old) this.flush(true);
    const [width, height] = this.metadataSize ?? [1280, 720];
    const timescale = type === "video" ? VIDEO_TIMESCALE : description.rate;
    const state = { samples: [], held: null, next: null };
    const track = { type, width, height, ...description, timescale, codecId: codec, source: data.slice() };
    this.tracks[type] = Object.assign(track, old ? { samples: old.samples, held: null, next: old.next } : state);
    if (this.isStarted && old) this.events.onInit(type, track, initSegment(track));
  }

  takeFrame(type, packet, time) {
    if (packet.codec === "mp3" && !this.tracks[type]) this.configure(type, packet);
    const track = this.tracks[type];
    // Nothing can be decoded before the configuration, nor a picture before the first whole one.
    if (!track || packet.data.length === 0) return;
    if (type === "video" && !track.hasKey && !packet.isKey) return;
    track.hasKey = true;
    const sample = this.timeline.place(type, time);
    this.firstFrame ??= sample;
    if (!this.isStarted && this.isComplete(sample)) this.start();
    if (type === "video") addPicture(track, packet, sample);
    else addSound(track, packet, sample);
  }

  isComplete(time) {
    const promised = this.reader.tracks ?? {};
    const missing = ["video", "audio"].some((type) => promised[type] && this.tracks[type] === undefined);
    return !missing || time - this.firstFrame > PATIENCE_MS;
  }

  start() {
    this.isStarted = true;
    for (const type of ["video", "audio"]) {
      if (!this.tracks[type]) delete this.tracks[type];
    }
    this.events.onTracks({ ...this.tracks });
    for (const [type, track] of Object.entries(this.tracks)) this.events.onInit(type, track, initSegment(track));
  }

  flush(isLast = false) {
    for (const [type, track] of Object.entries(this.tracks)) {
      if (!track) continue;
      if (isLast && track.held) {
        track.samples.push(track.held);
        track.held = null;
      }
      if (!this.isStarted || track.samples.length === 0) continue;
      this.events.onMedia(type, mediaSegment(this.sequence++, track.samples));
      track.samples = [];
    }
  }
}

// Pictures carry their time in milliseconds; one lasts until the next.
function addPicture(track, packet, time) {
  const held = track.held;
  if (held) {
    held.duration = Math.max(1, time - held.time);
    // Two pictures of one millisecond: time must go on.
    if (time <= held.time) time = held.time + 1;
    track.samples.push(held);
  }
  const duration = held?.duration ?? 40;
  track.held = { time, duration, offset: packet.offset, isKey: packet.isKey, data: packet.data };
}

// Sound has its own clock, the samples; the stream's milliseconds only say where it is, so that rounding leaves no gaps.
function addSound(track, packet, ms) {
  const wanted = Math.round((ms * track.timescale) / 1000);
  const drift = track.next === null ? Infinity : wanted - track.next;
  const time = Math.abs(drift) < AUDIO_DRIFT * track.timescale ? track.next : Math.max(wanted, track.next ?? 0);
  const duration = track.frameSamples(packet.data);
  track.next = time + duration;
  track.samples.push({ time, duration, offset: 0, isKey: true, data: packet.data });
}

function isSame(a, b) {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

// The numbers `width` and `height` of onMetaData (AMF0), wherever they stand.
function readSize(data) {
  const latin = String.fromCharCode(...data.subarray(0, 4096));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const number = (name) => {
    const at = latin.indexOf(`\0${String.fromCharCode(name.length)}${name}\0`);
    const start = at + name.length + 3;
    return at >= 0 && start + 8 <= data.length ? view.getFloat64(start) : 0;
  };
  const size = [number("width"), number("height")];
  return size.every((side) => side > 0 && side < 65536) ? size : null;
}
