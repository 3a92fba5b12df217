// Sound: AudioSpecificConfig (ISO/IEC 14496-3), MP3 frame headers (ISO/IEC 11172-3), the Opus head (RFC 7845) and
// packets (RFC 6716).

import { BitReader } from "./bits.js";

const AAC_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
const MP3_RATES = [44100, 48000, 32000];
const MP3_OBJECT = { 3: 0x6b, 2: 0x69, 0: 0x69 };
// Frames of Opus in units of 2.5 ms, by the configuration number of the packet.
const OPUS_UNITS = [4, 8, 16, 24, 4, 8, 16, 24, 4, 8, 16, 24, 4, 8, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

export function describeAac(record) {
  const reader = new BitReader(record);
  const objectType = () => {
    const type = reader.bits(5);
    return type === 31 ? 32 + reader.bits(6) : type;
  };
  const type = objectType();
  const index = reader.bits(4);
  const rate = index === 15 ? reader.bits(24) : AAC_RATES[index];
  if (!rate) throw new RangeError("AAC with an unknown sample rate");
  const channels = [0, 1, 2, 3, 4, 5, 6, 8][reader.bits(4)] || 2;
  return {
    codec: `mp4a.40.${type}`,
    name: type === 5 || type === 29 ? "HE-AAC" : "AAC",
    box: "mp4a",
    objectType: 0x40,
    record,
    rate,
    channels,
    frameSamples: () => 1024,
  };
}

// MP3 has no configuration: the first frame tells.
export function describeMp3(frame) {
  const header = ((frame[0] << 24) | (frame[1] << 16) | (frame[2] << 8) | frame[3]) >>> 0;
  const version = (header >> 19) & 3;
  const base = MP3_RATES[(header >> 10) & 3];
  if (header >>> 21 !== 0x7ff || version === 1 || !base) throw new RangeError("not an MP3 frame");
  const rate = version === 3 ? base : version === 2 ? base / 2 : base / 4;
  return {
    codec: "mp4a.6B",
    name: "MP3",
    box: "mp4a",
    objectType: MP3_OBJECT[version],
    record: new Uint8Array(0),
    rate,
    channels: ((header >> 6) & 3) === 3 ? 1 : 2,
    frameSamples: () => (version === 3 ? 1152 : 576),
  };
}

export function describeOpus(head) {
  if (head.length < 19 || head[8] !== 1) throw new RangeError("not an Opus head");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const config = new Uint8Array(11 + (head[18] === 0 ? 0 : head.length - 19));
  const out = new DataView(config.buffer);
  config[1] = head[9];
  out.setUint16(2, view.getUint16(10, true));
  out.setUint32(4, view.getUint32(12, true));
  out.setInt16(8, view.getInt16(16, true));
  config[10] = head[18];
  if (head[18] !== 0) config.set(head.subarray(19), 11);
  return {
    codec: "opus",
    name: "Opus",
    box: "Opus",
    configBox: "dOps",
    record: config,
    rate: 48000,
    channels: head[9] || 2,
    frameSamples: opusSamples,
  };
}

function opusSamples(packet) {
  const units = OPUS_UNITS[packet[0] >> 3];
  const frames = [1, 2, 2, packet[1] & 63][packet[0] & 3] || 1;
  return units * 120 * frames;
}
