// Reads bits, most significant first, and the Exp-Golomb codes of H.264 and H.265 (clause 9.1, 9.2).

export class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.position = 0;
  }

  bit() {
    const byte = this.bytes[this.position >> 3];
    if (byte === undefined) throw new RangeError("a parameter set ends too early");
    return (byte >> (7 - (this.position++ & 7))) & 1;
  }

  // As many as 32 bits, unsigned.
  bits(count) {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 2 + this.bit();
    return value;
  }

  skip(count) {
    this.position += count;
  }

  ue() {
    let zeros = 0;
    while (this.bit() === 0) {
      if (++zeros > 32) throw new RangeError("an Exp-Golomb code is too long");
    }
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  se() {
    const code = this.ue();
    return code & 1 ? (code + 1) / 2 : -code / 2;
  }
}

// The payload of a NAL unit without the emulation prevention bytes.
export function unescape(nal) {
  const out = new Uint8Array(nal.length);
  let length = 0;
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out[length++] = byte;
  }
  return out.subarray(0, length);
}

export const hex = (byte) => byte.toString(16).padStart(2, "0");
