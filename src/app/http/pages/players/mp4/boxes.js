// Boxes of ISO/IEC 14496-12: what a player's Media Source Extensions need of them.

// A box of bytes, numbers (one byte each), and other boxes.
export function box(type, ...parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 8);
  const bytes = new Uint8Array(size);
  bytes.set(u32(size));
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

// A box with version and flags.
export const fullBox = (type, version, flags, ...parts) => box(type, u32(version * 0x1000000 + flags), ...parts);

export const u16 = (value) => [(value >> 8) & 255, value & 255];
export const u32 = (value) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
export const u64 = (value) => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];
export const zeros = (count) => new Uint8Array(count);
export const text = (string) => Array.from(string, (c) => c.charCodeAt(0));
