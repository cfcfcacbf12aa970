/** Proposals as they come over the WebSocket. Pure. */
import { traceLoops } from './trace.js';

/** u32 little-endian header length + JSON header + payload → {header, payload: Uint8Array}. */
export function splitMessage(buffer) {
  if (buffer.byteLength < 4) throw new RangeError('The message is cut off.');
  const length = new DataView(buffer).getUint32(0, true);
  if (4 + length > buffer.byteLength) throw new RangeError('The message is cut off.');
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, payload: new Uint8Array(buffer, 4 + length) };
}

/** Packed rows (each padded to a byte, most significant bit first) → Uint8Array (h * w) of 0 and 1. */
export function unpackBits(packed, w, h) {
  const stride = (w + 7) >> 3;
  if (packed.length < stride * h) throw new RangeError('The mask is cut off.');
  const bits = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    const row = y * stride;
    const to = y * w;
    for (let x = 0, byte = 0; x < w; x++) {
      if ((x & 7) === 0) byte = packed[row + (x >> 3)];
      if (byte & (0x80 >> (x & 7))) bits[to + x] = 1;
    }
  }
  return bits;
}

/** A candidate of a proposal message with its mask opened and outlined in frame px. */
export function openCandidate(candidate, payload) {
  const { id, score, x, y, w, h, area, offset, length } = candidate;
  const bits = unpackBits(payload.subarray(offset, offset + length), w, h);
  const loops = traceLoops(bits, [0, 1], w, h).map(({ xy }) => {
    for (let i = 0; i < xy.length; i += 2) {
      xy[i] += x;
      xy[i + 1] += y;
    }
    return { value: 1, xy };
  });
  return { id, score, area, mask: { x, y, w, h, bits }, loops };
}
