// A media segment of one track: moof and mdat.

import { box, fullBox, u32, u64 } from "./boxes.js";
import { TRACK, concat } from "./init.js";

const BASE_IS_MOOF = 0x020000;
// The data's place, and for each sample duration, size, flags and composition offset.
const RUN_FIELDS = 0x000f01;
const SYNC = 0x02000000;
const NOT_SYNC = 0x01010000;
// Of moof's head, mfhd, traf's head, tfhd, tfdt and trun's head up to the place.
const BEFORE_OFFSET = 8 + 16 + 8 + 16 + 20 + 16;

// `samples` are { time, duration, offset (all in units of the track's timescale), isKey, data }, one at least.
export function mediaSegment(sequence, samples) {
  const rows = new Uint8Array(samples.length * 16);
  const view = new DataView(rows.buffer);
  samples.forEach((sample, index) => {
    view.setUint32(index * 16, sample.duration);
    view.setUint32(index * 16 + 4, sample.data.length);
    view.setUint32(index * 16 + 8, sample.isKey ? SYNC : NOT_SYNC);
    view.setInt32(index * 16 + 12, sample.offset);
  });
  const place = BEFORE_OFFSET + 4 + rows.length + 8;
  const moof = box(
    "moof",
    fullBox("mfhd", 0, 0, u32(sequence)),
    box(
      "traf",
      fullBox("tfhd", 0, BASE_IS_MOOF, u32(TRACK)),
      fullBox("tfdt", 1, 0, u64(samples[0].time)),
      fullBox("trun", 1, RUN_FIELDS, u32(samples.length), u32(place), rows),
    ),
  );
  return concat([moof, box("mdat", ...samples.map((sample) => sample.data))]);
}
