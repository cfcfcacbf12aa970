/**
 * A zip without compression (images are compressed already), as a Blob made of the files themselves.
 * Follows the PKWARE APPNOTE 6.3: local headers, central directory, end record; names are UTF-8.
 */
const TABLE = new Uint32Array(256).map((_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});
export const LIMIT_BYTES = 0xf0000000;
export const LIMIT_FILES = 65000;

export function crc32(bytes, crc = 0) {
  let c = ~crc >>> 0;
  for (let i = 0; i < bytes.length; i += 1) c = TABLE[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

function record(size, fields) {
  const view = new DataView(new ArrayBuffer(size));
  for (const [at, bytes, value] of fields) {
    if (bytes === 4) view.setUint32(at, value >>> 0, true);
    else view.setUint16(at, value, true);
  }
  return view.buffer;
}
const UTF8 = 0x0800;
const JAN_1980 = 0x21;

/** `files` = File objects; `onFile(n)` is called as each is read. Names keep their path below the chosen folder. */
export async function zipOf(files, onFile = () => {}) {
  const parts = [];
  const central = [];
  let offset = 0;
  let n = 0;
  for (const file of files) {
    const name = new TextEncoder().encode((file.webkitRelativePath || file.name).replaceAll('\\', '/'));
    const crc = crc32(new Uint8Array(await file.arrayBuffer()));
    const common = (at) => [[at, 2, 20], [at + 2, 2, UTF8], [at + 4, 2, 0], [at + 6, 2, 0], [at + 8, 2, JAN_1980], [at + 10, 4, crc], [at + 14, 4, file.size], [at + 18, 4, file.size], [at + 22, 2, name.length]];
    parts.push(record(30, [[0, 4, 0x04034b50], ...common(4)]), name, file);
    central.push(record(46, [[0, 4, 0x02014b50], [4, 2, 20], ...common(6), [42, 4, offset]]), name);
    offset += 30 + name.length + file.size;
    onFile(n += 1);
  }
  const size = central.reduce((sum, part) => sum + part.byteLength, 0);
  const end = record(22, [[0, 4, 0x06054b50], [8, 2, n], [10, 2, n], [12, 4, size], [16, 4, offset]]);
  return new Blob([...parts, ...central, end], { type: 'application/zip' });
}
