// The initialization segment of one track.

import { box, fullBox, text, u16, u32, zeros } from "./boxes.js";

export const TRACK = 1;
const MATRIX = [...u32(0x10000), ...zeros(12), ...u32(0x10000), ...zeros(12), ...u32(0x40000000)];
const NO_ENTRIES = u32(0);

// `track` is what a codec's `describe` gives, with `timescale` and, for pictures, `width` and `height`.
export function initSegment(track) {
  const isVideo = track.type === "video";
  const tables = [
    fullBox("stsd", 0, 0, u32(1), isVideo ? videoEntry(track) : audioEntry(track)),
    fullBox("stts", 0, 0, NO_ENTRIES),
    fullBox("stsc", 0, 0, NO_ENTRIES),
    fullBox("stsz", 0, 0, u32(0), NO_ENTRIES),
    fullBox("stco", 0, 0, NO_ENTRIES),
  ];
  const minf = box(
    "minf",
    isVideo ? fullBox("vmhd", 0, 1, zeros(8)) : fullBox("smhd", 0, 0, zeros(4)),
    box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, 1))),
    box("stbl", ...tables),
  );
  const mdia = box(
    "mdia",
    fullBox("mdhd", 0, 0, zeros(8), u32(track.timescale), u32(0), u16(0x55c4), u16(0)),
    fullBox("hdlr", 0, 0, zeros(4), text(isVideo ? "vide" : "soun"), zeros(12), text("live\0")),
    minf,
  );
  const moov = box(
    "moov",
    fullBox("mvhd", 0, 0, zeros(8), u32(1000), u32(0), u32(0x10000), u16(0x100), zeros(10), MATRIX, zeros(24), u32(TRACK + 1)),
    box("trak", trackHeader(track, isVideo), mdia),
    box("mvex", fullBox("trex", 0, 0, u32(TRACK), u32(1), zeros(12))),
  );
  return concat([box("ftyp", text("iso5"), u32(1), text("iso5iso6mp41")), moov]);
}

function trackHeader(track, isVideo) {
  const size = isVideo ? [...u32(track.width * 0x10000), ...u32(track.height * 0x10000)] : zeros(8);
  const volume = u16(isVideo ? 0 : 0x100);
  return fullBox("tkhd", 0, 3, zeros(8), u32(TRACK), zeros(4), u32(0), zeros(8), zeros(4), volume, u16(0), MATRIX, size);
}

function videoEntry(track) {
  return box(
    track.box,
    zeros(6),
    u16(1),
    zeros(16),
    u16(track.width),
    u16(track.height),
    u32(0x480000),
    u32(0x480000),
    zeros(4),
    u16(1),
    zeros(32),
    u16(24),
    u16(0xffff),
    box(track.configBox, track.record),
  );
}

function audioEntry(track) {
  const config = track.configBox ? box(track.configBox, track.record) : fullBox("esds", 0, 0, elementaryStream(track));
  return box(
    track.box,
    zeros(6),
    u16(1),
    zeros(8),
    u16(track.channels),
    u16(16),
    zeros(4),
    u16(track.rate & 0xffff),
    u16(0),
    config,
  );
}

// The descriptors of ISO/IEC 14496-1, 7.2.6.
function elementaryStream({ objectType, record }) {
  const descriptor = (tag, ...parts) => {
    const body = parts.flatMap((part) => [...part]);
    return [tag, 0x80, 0x80, 0x80, body.length, ...body];
  };
  const specific = record.length > 0 ? descriptor(5, record) : [];
  const decoder = descriptor(4, [objectType, 0x15], zeros(11), specific);
  return descriptor(3, u16(TRACK), [0], decoder, descriptor(6, [2]));
}

export function concat(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
