// AV1 and VP9: AV1CodecConfigurationRecord with its sequence header (AV1 specification 5.5), VPCodecConfigurationRecord.

import { BitReader } from "./bits.js";

const SEQUENCE_HEADER = 1;
const two = (number) => String(number).padStart(2, "0");

export function describe(record) {
  if (record.length < 4 || record[0] !== 0x81) throw new RangeError("not an AV1 configuration");
  const tier = record[2] & 0x80 ? "H" : "M";
  const depth = record[2] & 0x40 ? (record[2] & 0x20 ? 12 : 10) : 8;
  const codec = `av01.${record[1] >> 5}.${two(record[1] & 31)}${tier}.${two(depth)}`;
  return { codec, name: "AV1", box: "av01", configBox: "av1C", record, ...sizeOf(record.subarray(4)) };
}

export function describeVp9(record) {
  const isBare = record[0] !== 1 || record[1] !== 0 || record.length < 12;
  const body = isBare ? record : record.subarray(4);
  if (body.length < 6) throw new RangeError("not a VP9 configuration");
  const codec = `vp09.${two(body[0])}.${two(body[1] || 10)}.${two(body[2] >> 4)}`;
  const full = new Uint8Array([1, 0, 0, 0, ...body.subarray(0, 8)]);
  return { codec, name: "VP9", box: "vp09", configBox: "vpcC", record: full };
}

function sizeOf(units) {
  let at = 0;
  while (at < units.length) {
    const header = units[at];
    at += header & 4 ? 2 : 1;
    let size = units.length - at;
    if (header & 2) {
      size = 0;
      for (let shift = 0; shift < 56; shift += 7) {
        const byte = units[at++] ?? 0;
        size += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
    }
    if (((header >> 3) & 15) === SEQUENCE_HEADER) return sequenceSize(units.subarray(at, at + size));
    at += size;
  }
  return null;
}

function sequenceSize(bytes) {
  const reader = new BitReader(bytes);
  reader.skip(4);
  if (reader.bit()) {
    reader.skip(5);
  } else {
    skipOperatingPoints(reader);
  }
  const [widthBits, heightBits] = [reader.bits(4) + 1, reader.bits(4) + 1];
  return { width: reader.bits(widthBits) + 1, height: reader.bits(heightBits) + 1 };
}

function skipOperatingPoints(reader) {
  let decoderModel = 0;
  let delayBits = 0;
  if (reader.bit()) {
    reader.skip(64);
    if (reader.bit()) reader.ue();
    decoderModel = reader.bit();
    if (decoderModel) {
      delayBits = reader.bits(5) + 1;
      reader.skip(42);
    }
  }
  const initialDelay = reader.bit();
  const points = reader.bits(5) + 1;
  for (let i = 0; i < points; i++) {
    reader.skip(12);
    if (reader.bits(5) > 7) reader.skip(1);
    if (decoderModel && reader.bit()) reader.skip(2 * delayBits + 1);
    if (initialDelay && reader.bit()) reader.skip(4);
  }
}
