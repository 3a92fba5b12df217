// Cuts a stream of FLV (Adobe's specification, version 10.1, annex E) into tags as its bytes come in.

const FILE_HEADER = 9;
const TAG_HEADER = 11;

export class FlvReader {
  constructor() {
    this.rest = new Uint8Array(0);
    // What the file's header says is inside; null until it came.
    this.tracks = null;
  }

  // Gives the tags that are complete with these bytes: { type, time (ms), data }. Throws what is wrong with the stream.
  push(chunk) {
    const bytes = this.rest.length === 0 ? chunk : concat(this.rest, chunk);
    const tags = [];
    let at = 0;
    if (this.tracks === null) {
      if (bytes.length < FILE_HEADER + 4) {
        this.rest = bytes;
        return tags;
      }
      this.tracks = readHeader(bytes);
      at = new DataView(bytes.buffer, bytes.byteOffset).getUint32(5) + 4;
    }
    for (;;) {
      const tag = readTag(bytes, at);
      if (!tag) break;
      tags.push(tag);
      at += TAG_HEADER + tag.data.length + 4;
    }
    // A copy, or what is left would keep all of the chunk alive.
    this.rest = bytes.slice(at);
    return tags;
  }
}

function readHeader(bytes) {
  if (bytes[0] !== 0x46 || bytes[1] !== 0x4c || bytes[2] !== 0x56) throw new RangeError("this is not FLV");
  return { video: (bytes[4] & 1) !== 0, audio: (bytes[4] & 4) !== 0 };
}

function readTag(bytes, at) {
  if (bytes.length < at + TAG_HEADER) return null;
  const size = (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  const start = at + TAG_HEADER;
  if (bytes.length < start + size + 4) return null;
  const time = ((bytes[at + 7] << 24) | (bytes[at + 4] << 16) | (bytes[at + 5] << 8) | bytes[at + 6]) >>> 0;
  return { type: bytes[at] & 31, time, data: bytes.subarray(start, start + size) };
}

function concat(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
