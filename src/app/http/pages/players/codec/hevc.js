// H.265: HEVCDecoderConfigurationRecord and the codec's name (ISO/IEC 14496-15), and the picture size of a sequence
// parameter set.

import { BitReader, hex, unescape } from "./bits.js";

const SPS = 33;

export function describe(record) {
  if (record.length < 23) throw new RangeError("not an H.265 configuration");
  const size = find(record, SPS);
  return { codec: codecOf(record), name: "H.265", box: "hvc1", configBox: "hvcC", record, ...(size && sizeOf(size)) };
}

function codecOf(record) {
  const space = ["", "A", "B", "C"][record[1] >> 6];
  const tier = record[1] & 0x20 ? "H" : "L";
  let flags = 0;
  // The compatibility flags are written with the first one as the lowest bit.
  for (let i = 0; i < 32; i++) {
    if (record[2 + (i >> 3)] & (0x80 >> (i & 7))) flags += 2 ** i;
  }
  const constraints = [...record.subarray(6, 12)];
  while (constraints.length > 0 && constraints.at(-1) === 0) constraints.pop();
  const parts = [`hvc1.${space}${record[1] & 31}`, flags.toString(16), `${tier}${record[12]}`];
  return [...parts, ...constraints.map((byte) => hex(byte).toUpperCase())].join(".");
}

function find(record, wanted) {
  let at = 23;
  for (let arrays = record[22]; arrays > 0; arrays--) {
    const type = record[at] & 63;
    let units = (record[at + 1] << 8) | record[at + 2];
    at += 3;
    for (; units > 0 && at + 2 <= record.length; units--) {
      const length = (record[at] << 8) | record[at + 1];
      if (type === wanted) return record.subarray(at + 2, at + 2 + length);
      at += 2 + length;
    }
  }
  return null;
}

function sizeOf(sps) {
  const reader = new BitReader(unescape(sps.subarray(2)));
  reader.skip(4);
  const layers = reader.bits(3);
  reader.skip(1);
  skipProfile(reader, layers);
  reader.ue();
  const chroma = reader.ue();
  if (chroma === 3) reader.skip(1);
  const width = reader.ue();
  const height = reader.ue();
  const crop = reader.bit() ? [reader.ue(), reader.ue(), reader.ue(), reader.ue()] : [0, 0, 0, 0];
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = chroma === 1 ? 2 : 1;
  return { width: width - (crop[0] + crop[1]) * unitX, height: height - (crop[2] + crop[3]) * unitY };
}

function skipProfile(reader, layers) {
  reader.skip(96);
  const present = [];
  for (let i = 0; i < layers; i++) present.push([reader.bit(), reader.bit()]);
  if (layers > 0) reader.skip(2 * (8 - layers));
  for (const [profile, level] of present) reader.skip(88 * profile + 8 * level);
}
