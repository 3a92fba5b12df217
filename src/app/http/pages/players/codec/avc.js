// H.264: AVCDecoderConfigurationRecord (ISO/IEC 14496-15) and the picture size of a sequence parameter set.

import { BitReader, hex, unescape } from "./bits.js";

const WITH_CHROMA = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

export function describe(record) {
  if (record.length < 7 || record[0] !== 1) throw new RangeError("not an H.264 configuration");
  const codec = `avc1.${hex(record[1])}${hex(record[2])}${hex(record[3])}`;
  const length = (record[6] << 8) | record[7];
  const size = (record[5] & 31) > 0 ? sizeOf(record.subarray(8, 8 + length)) : null;
  return { codec, name: "H.264", box: "avc1", configBox: "avcC", record, ...size };
}

function sizeOf(sps) {
  const reader = new BitReader(unescape(sps.subarray(1)));
  const profile = reader.bits(8);
  reader.skip(16);
  reader.ue();
  let chroma = 1;
  if (WITH_CHROMA.has(profile)) chroma = skipChroma(reader);
  reader.ue();
  skipOrderCount(reader);
  reader.ue();
  reader.skip(1);
  const widthInMbs = reader.ue() + 1;
  const mapHeight = reader.ue() + 1;
  const framesOnly = reader.bit();
  if (!framesOnly) reader.skip(1);
  reader.skip(1);
  const crop = reader.bit() ? [reader.ue(), reader.ue(), reader.ue(), reader.ue()] : [0, 0, 0, 0];
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (2 - framesOnly);
  return {
    width: widthInMbs * 16 - (crop[0] + crop[1]) * unitX,
    height: mapHeight * 16 * (2 - framesOnly) - (crop[2] + crop[3]) * unitY,
  };
}

function skipChroma(reader) {
  const chroma = reader.ue();
  if (chroma === 3) reader.skip(1);
  reader.ue();
  reader.ue();
  reader.skip(1);
  if (reader.bit()) {
    for (let i = 0; i < (chroma === 3 ? 12 : 8); i++) {
      if (reader.bit()) skipScalingList(reader, i < 6 ? 16 : 64);
    }
  }
  return chroma;
}

function skipScalingList(reader, size) {
  let last = 8;
  let next = 8;
  for (let i = 0; i < size; i++) {
    if (next !== 0) next = (last + reader.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
}

function skipOrderCount(reader) {
  const type = reader.ue();
  if (type === 0) {
    reader.ue();
  } else if (type === 1) {
    reader.skip(1);
    reader.se();
    reader.se();
    // At most 255 by the standard; a hostile stream may say more.
    for (let left = Math.min(reader.ue(), 255); left > 0; left--) reader.se();
  }
}
