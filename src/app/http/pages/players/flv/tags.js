// What is inside audio and video tags: the classic ones of Adobe's specification, those of Enhanced RTMP (Veovera), and
// H.265 as number 12, which many encoders send.

const AVC = 7;
const HEVC = 12;
const AAC = 10;
const MP3 = 2;
const ENHANCED_AUDIO = 9;
const VIDEO_CODECS = { avc1: "avc", hvc1: "hevc", av01: "av1", vp09: "vp9" };
const AUDIO_CODECS = { mp4a: "aac", ".mp3": "mp3", Opus: "opus" };
const MULTITRACK = 5;
const MOD_EX = 7;

// Each gives { codec, kind: "config" | "frame", data, isKey, offset (ms) }, or null for what nothing has to be done about.
// A codec that is not known comes as { unknown: its name }.

export function readVideo(data) {
  if (data.length < 2) return null;
  if (data[0] & 0x80) return readEnhancedVideo(data);
  const isKey = data[0] >> 4 === 1;
  // Type 5 is a command for the player, without a picture.
  if (data[0] >> 4 === 5) return null;
  const number = data[0] & 15;
  const codec = { [AVC]: "avc", [HEVC]: "hevc" }[number];
  if (!codec) return { unknown: `video codec ${number} of FLV` };
  if (data[1] === 0) return { codec, kind: "config", data: data.subarray(5) };
  if (data[1] !== 1 || data.length <= 5) return null;
  return { codec, kind: "frame", data: data.subarray(5), isKey, offset: signed24(data, 2) };
}

export function readAudio(data) {
  if (data.length < 2) return null;
  const number = data[0] >> 4;
  if (number === ENHANCED_AUDIO) return readEnhancedAudio(data);
  if (number === MP3) return { codec: "mp3", kind: "frame", data: data.subarray(1), isKey: true, offset: 0 };
  if (number !== AAC) return { unknown: `audio codec ${number} of FLV` };
  if (data[1] === 0) return { codec: "aac", kind: "config", data: data.subarray(2) };
  return { codec: "aac", kind: "frame", data: data.subarray(2), isKey: true, offset: 0 };
}

function readEnhancedVideo(data) {
  const frameType = (data[0] >> 4) & 7;
  if (frameType === 5) return null;
  const packet = unwrap(data, data[0] & 15);
  if (!packet) return null;
  const codec = VIDEO_CODECS[packet.fourcc];
  if (!codec) return { unknown: packet.fourcc };
  const isKey = frameType === 1;
  switch (packet.type) {
    case 0:
      return { codec, kind: "config", data: packet.body };
    case 1: {
      const hasOffset = codec === "avc" || codec === "hevc";
      const offset = hasOffset ? signed24(packet.body, 0) : 0;
      return { codec, kind: "frame", data: packet.body.subarray(hasOffset ? 3 : 0), isKey, offset };
    }
    case 3:
      return { codec, kind: "frame", data: packet.body, isKey, offset: 0 };
    default:
      return null;
  }
}

function readEnhancedAudio(data) {
  const packet = unwrap(data, data[0] & 15);
  if (!packet) return null;
  const codec = AUDIO_CODECS[packet.fourcc];
  if (!codec) return { unknown: packet.fourcc };
  if (packet.type === 0) return { codec, kind: "config", data: packet.body };
  if (packet.type === 1) return { codec, kind: "frame", data: packet.body, isKey: true, offset: 0 };
  return null;
}

// Takes the modifiers and, of several tracks, all but the first off a packet.
function unwrap(data, first) {
  let type = first;
  let at = 1;
  while (type === MOD_EX) {
    let size = (data[at++] ?? 0) + 1;
    if (size === 256) {
      size = ((data[at] << 8) | data[at + 1]) + 1;
      at += 2;
    }
    at += size;
    if (at >= data.length) return null;
    type = data[at++] & 15;
  }
  if (type !== MULTITRACK) return { type, fourcc: fourcc(data, at), body: data.subarray(at + 4) };
  const kind = data[at] >> 4;
  type = data[at++] & 15;
  // One track, several of one codec, several codecs.
  const name = fourcc(data, at);
  at += 5;
  if (kind === 0) return { type, fourcc: name, body: data.subarray(at) };
  const size = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  return { type, fourcc: name, body: data.subarray(at + 3, at + 3 + size) };
}

const fourcc = (data, at) => String.fromCharCode(...data.subarray(at, at + 4));

const signed24 = (data, at) => ((data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8)) >> 8;
