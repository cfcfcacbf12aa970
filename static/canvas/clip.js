/** Records of GET /assets/{id}/clip: u32 little-endian header length, JSON header, `bytes` of a gzipped region map. Pure. */

/** Takes the bytes of the answer as they come: push(Uint8Array) → the records that are whole now, {head, body}. */
export function createRecords() {
  let rest = new Uint8Array(0);

  function next() {
    if (rest.length < 4) return null;
    const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0, true);
    if (rest.length < 4 + length) return null;
    const head = JSON.parse(new TextDecoder().decode(rest.subarray(4, 4 + length)));
    const end = 4 + length + (head.bytes ?? 0);
    if (rest.length < end) return null;
    const body = rest.subarray(4 + length, end);
    rest = rest.subarray(end);
    return { head, body };
  }

  return {
    push(chunk) {
      const joined = new Uint8Array(rest.length + chunk.length);
      joined.set(rest);
      joined.set(chunk, rest.length);
      rest = joined;
      const out = [];
      for (let record = next(); record; record = next()) out.push(record);
      return out;
    },
    /** Bytes of a record that did not come to its end. */
    get left() { return rest.length; },
  };
}
