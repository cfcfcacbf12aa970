/** 24 lower-case hex digits: 48 bits of wall time in ms (so that ids sort), 48 random bits. */
export function newId(now = Date.now(), random = crypto.getRandomValues(new Uint8Array(6))) {
  const time = now.toString(16).padStart(12, '0').slice(-12);
  return time + Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A frame's id follows from its asset and index (0-based). */
export function frameId(assetId, index) {
  return `${assetId}-${String(index).padStart(6, '0')}`;
}

/** The 0-based index inside a frame id, or -1. */
export function frameIndex(id) {
  const match = /-(\d{6,9})$/.exec(id ?? '');
  return match ? Number(match[1]) : -1;
}
