/**
 * A stand-in for the server, for working on the canvas alone: node tests/canvas/dev_server.mjs [port] [picture.jpg]
 * It draws its own frames, and its engine answers with discs. It keeps nothing.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync, gzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const picture = process.argv[3] ? await readFile(process.argv[3]) : null;
const W = 480;
const H = 360;
const COUNT = Number(process.env.FRAMES ?? 60);
const ASSET = '0123456789ab0123456789ab';
const PROJECT = 'ba9876543210ba9876543210';
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html', '.json': 'application/json' };
const CLASSES = [['pole', '#eaf467', 110, 'G'], ['sign', '#fca300', 100, '9'], ['bicyclist', '#bb3acf', 90, '3'], ['pedestrian', '#d7005c', 80, '4'],
  ['car', '#1f8876', 70, '1'], ['tree', '#78ba53', 50, '7'], ['building', '#ae5320', 40, '6'], ['pavement', '#ffb9d0', 30, '5'], ['road', '#8a5b9b', 20, '2'],
  ['sky', '#73c1fe', 10, '0']].map(([name, colour, priority, shortcut], i) => ({ id: i + 1, name, colour, priority, shortcut, parent: null, order: i }));
const rank = new Map(CLASSES.slice().sort((a, b) => a.priority - b.priority).map((c, i) => [c.id, i]));

const states = Array.from({ length: COUNT }, (_, i) => (i < 12 ? 'approved' : i < 36 ? 'done' : 'todo'));
const revisions = Array(COUNT).fill(1);
const regions = new Map();
const edits = [];
const undone = [];
const operations = new Map();
let version = 0;

function polygonMask(rings) {
  const mask = new Uint8Array(W * H);
  for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
    let odd = false;
    for (const ring of rings) for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi] = ring[i];
      const [xj, yj] = ring[j];
      if ((yi > y + 0.5) !== (yj > y + 0.5) && x + 0.5 < ((xj - xi) * (y + 0.5 - yi)) / (yj - yi) + xi) odd = !odd;
    }
    if (odd) mask[y * W + x] = 1;
  }
  return mask;
}
function maskOf(g, grow = 1) {
  if (g.outline) return polygonMask(g.outline);
  const mask = new Uint8Array(W * H);
  const wave = (x, y) => 1 + 0.08 * Math.sin(x / 5) * Math.cos(y / 7);
  if (g.box && !g.points.some((p) => p.label)) {
    const [x1, y1, x2, y2] = g.box;
    for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) if (((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= wave(x, y)) mask[y * W + x] = 1;
  }
  for (const p of g.points) {
    const r = (p.r || 32) * (p.label ? grow : 0.7);
    for (let y = Math.max(0, p.y - r * 1.2 | 0); y < Math.min(H, p.y + r * 1.2); y++) for (let x = Math.max(0, p.x - r * 1.2 | 0); x < Math.min(W, p.x + r * 1.2); x++) {
      if (Math.hypot(x + 0.5 - p.x, (y + 0.5 - p.y) * 1.15) <= r * wave(x, y)) mask[y * W + x] = p.label;
    }
  }
  return mask;
}
const ofFrame = (id) => [...regions.values()].filter((r) => r.frame_id === id);
const keyOf = (id) => createHash('sha1').update(JSON.stringify(ofFrame(id).map((r) => [r.id, r.class_id, r.geometry])) + id).digest('hex');
function regionMap(id) {
  const list = ofFrame(id);
  const ids = new Uint8Array(W * H);
  const order = list.map((_, i) => i).sort((a, b) => rank.get(list[a].class_id) - rank.get(list[b].class_id));
  for (const i of order) maskOf(list[i].geometry).forEach((v, p) => { if (v) ids[p] = i + 1; });
  const header = Buffer.from(JSON.stringify({ frame: id, width: W, height: H, dtype: 'u1', key: keyOf(id), regions: list.map((r) => ({ id: r.id, class_id: r.class_id, area: r.area })) }));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(header.length);
  return Buffer.concat([size, header, ids]);
}
const view = (r) => ({ ...r, order: 0 });

function png(index, w, h) {
  const raw = Buffer.alloc((w * 3 + 1) * h);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const o = y * (w * 3 + 1) + 1 + x * 3;
    const u = x / w;
    const v = y / h;
    const car = Math.hypot(u - (0.2 + (index % 60) / 90), (v - 0.7) * 1.6) < 0.13;
    const c = car ? [170, 40, 40] : v > 0.62 ? [92, 92, 96] : u < 0.25 ? [150, 110, 80] : u > 0.75 ? [70, 110, 60] : [150, 190, 230];
    for (let k = 0; k < 3; k++) raw[o + k] = Math.max(0, Math.min(255, c[k] + ((x * 7 + y * 13 + index * 3) % 17) - 8));
  }
  const table = Array.from({ length: 256 }, (_, n) => { let c = n; for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1; return c >>> 0; });
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    let crc = 0xffffffff;
    for (const b of body) crc = table[(crc ^ b) & 255] ^ (crc >>> 8);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(w);
  head.writeUInt32BE(h, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', deflateSync(raw, { level: 1 })), chunk('IEND', Buffer.alloc(0))]);
}

function seed() {
  const at = `${ASSET}-${String(40).padStart(6, '0')}`;
  const rings = { 10: [[[0, 0], [480, 0], [480, 120], [300, 150], [180, 120], [0, 40]]], 9: [[[140, 360], [190, 215], [330, 215], [480, 330], [480, 360]]],
    7: [[[0, 20], [170, 90], [180, 200], [120, 230], [0, 290]]], 6: [[[300, 140], [480, 10], [480, 210], [320, 190]]], 8: [[[0, 290], [190, 212], [140, 360], [0, 360]]] };
  for (const [cls, outline] of Object.entries(rings)) {
    const id = cls.padStart(24, '0');
    regions.set(id, { id, frame_id: at, class_id: Number(cls), geometry: { points: [{ x: outline[0][0][0] * 0.5 + outline[0][2][0] * 0.5, y: outline[0][0][1] * 0.4 + outline[0][2][1] * 0.6, label: 1, r: 12 }], box: null, text: null, outline },
      track_id: null, anchor: true, certificate: { engine: 'classic', weights: '', iou: 0.97, boundary_f: 0.9, target: 0.95, exact: true }, area: 100, author: 'local', revision: 1 });
  }
}
seed();

function apply(method, path, body, ifMatch) {
  let m;
  const record = (id, before, after) => {
    edits.push({ id, before, after });
    undone.length = 0;
    version += 1;
  };
  if ((m = /^\/frames\/([^/]+)\/regions$/.exec(path)) && method === 'POST') {
    const region = { ...body, frame_id: m[1], track_id: null, anchor: true, area: 1, author: 'local', revision: 1, certificate: { engine: 'classic', weights: '', iou: 0.962, boundary_f: 0.93, target: 0.95, exact: false } };
    delete region.proposal;
    delete region.engine;
    regions.set(region.id, region);
    record(region.id, null, region);
    return [201, { region: view(region), edit: {}, key: keyOf(m[1]) }];
  }
  if ((m = /^\/regions\/([^/]+)$/.exec(path))) {
    const before = regions.get(m[1]);
    if (!before) return [404, { title: 'Not found', status: 404, detail: 'The region does not exist.' }];
    if (ifMatch !== `"${before.revision}"`) return [409, { title: 'Conflict', status: 409, detail: `Revision ${before.revision} is current.`, current: view(before) }];
    if (method === 'DELETE') {
      regions.delete(before.id);
      record(before.id, before, null);
      return [200, { region: null, edit: {}, key: keyOf(before.frame_id) }];
    }
    const after = { ...before, revision: before.revision + 1 };
    for (const k of ['class_id', 'geometry']) if (body[k] !== undefined) after[k] = body[k];
    regions.set(after.id, after);
    record(after.id, before, after);
    return [200, { region: view(after), edit: {}, key: keyOf(after.frame_id) }];
  }
  if ((m = /^\/projects\/[^/]+\/(undo|redo)$/.exec(path))) {
    const [from, to] = m[1] === 'undo' ? [edits, undone] : [undone, edits];
    const edit = from.pop();
    if (!edit) return [409, { title: 'Nothing', status: 409, detail: `There is nothing to ${m[1]}.` }];
    to.push(edit);
    const next = m[1] === 'undo' ? edit.before : edit.after;
    const frame = (edit.before ?? edit.after).frame_id;
    if (next) regions.set(edit.id, { ...next, revision: (regions.get(edit.id)?.revision ?? next.revision) + 1 });
    else regions.delete(edit.id);
    return [200, { edit: {}, what: m[1] === 'undo' ? 'Undone: the last change of a region.' : 'Done again.', frame_id: frame, can_undo: edits.length > 0, can_redo: undone.length > 0 }];
  }
  if ((m = /^\/frames\/([^/]+)$/.exec(path)) && method === 'PATCH') {
    const i = Number(m[1].slice(-6));
    if (ifMatch !== `"${revisions[i]}"`) return [409, { title: 'Conflict', status: 409, detail: 'Changed.' }];
    states[i] = body.state;
    revisions[i] += 1;
    return [200, frameOf(i)];
  }
  return [404, { title: 'Not found', status: 404, detail: `Nothing at ${path}.` }];
}
const frameOf = (i) => ({ id: `${ASSET}-${String(i).padStart(6, '0')}`, asset_id: ASSET, index: i, source_index: i, pts: i / 15, width: W, height: H, hash: '', file: '', thumb: '', state: states[i], revision: revisions[i] });
const runs = (values) => values.reduce((out, v, i) => {
  const last = out[out.length - 1];
  if (last && last[2] === v) last[1] += 1;
  else out.push([i, 1, v]);
  return out;
}, []);

async function answer(request, response) {
  const url = new URL(request.url, 'http://x');
  const send = (status, type, body, extra = {}) => { response.writeHead(status, { 'Content-Type': type, ...extra }); response.end(body); };
  if (url.pathname === '/') {
    const data = { project: { id: PROJECT, name: 'Cambridge streets', engine: 'classic' }, asset: { id: ASSET, name: '0016E5_15hz.mp4', frame_count: COUNT, fps: 15, width: W, height: H },
      assets: [], frame_index: 40, classes: CLASSES, engines: [], strings: {}, urls: {}, actor: 'local', can_undo: false };
    const page = (await readFile(new URL('dev.html', import.meta.url), 'utf8')).replace('{}', () => JSON.stringify(data));
    return send(200, 'text/html', page, { 'Content-Security-Policy': "default-src 'self'; img-src 'self' blob:; object-src 'none'" });
  }
  if (url.pathname === '/static/dev.css') return send(200, 'text/css', await readFile(new URL('dev.css', import.meta.url)));
  if (url.pathname.startsWith('/static/')) {
    const file = join(ROOT, normalize(url.pathname));
    return send(200, TYPES[extname(file)] ?? 'application/octet-stream', await readFile(file), { 'Cache-Control': 'no-store' });
  }
  const path = url.pathname.replace('/api/v1', '');
  let m;
  if (request.method === 'GET') {
    if ((m = /^\/frames\/[^/]+-(\d{6})\/(image|thumb)$/.exec(path))) {
      if (picture) return send(200, 'image/jpeg', picture);
      return send(200, 'image/png', m[2] === 'image' ? png(Number(m[1]), W, H) : png(Number(m[1]), 160, 120), { 'Cache-Control': 'max-age=3600' });
    }
    if ((m = /^\/frames\/([^/]+)\/region-map$/.exec(path))) return send(200, 'application/octet-stream', gzipSync(regionMap(m[1])), { 'Content-Encoding': 'gzip', ETag: `"${keyOf(m[1])}"` });
    if ((m = /^\/frames\/([^/]+)$/.exec(path))) return send(200, 'application/json', JSON.stringify({ frame: frameOf(Number(m[1].slice(-6))), asset: {}, project_id: PROJECT, regions: ofFrame(m[1]).map(view), key: keyOf(m[1]) }));
    if (/\/timeline$/.test(path)) {
      const has = Array.from({ length: COUNT }, (_, i) => ofFrame(frameOf(i).id).length > 0);
      return send(200, 'application/json', JSON.stringify({ total: COUNT, fps: 15, duration: COUNT / 15, states: runs(states), regions: runs(has).filter((r) => r[2]).map((r) => r.slice(0, 2)) }));
    }
    return send(404, 'application/problem+json', '{}');
  }
  let text = '';
  for await (const part of request) text += part;
  const id = request.headers['idempotency-key'];
  if (!operations.has(id)) operations.set(id, apply(request.method, path, text ? JSON.parse(text) : null, request.headers['if-match']));
  const [status, body] = operations.get(id);
  return send(status, 'application/json', JSON.stringify(body));
}

const server = createServer((request, response) => answer(request, response).catch((error) => { response.writeHead(404); response.end(String(error)); }));

function frame(data) {
  const head = data.length < 126 ? Buffer.from([0x82, data.length]) : data.length < 65536 ? Buffer.from([0x82, 126, data.length >> 8, data.length & 255]) : Buffer.alloc(10);
  if (head.length === 10) { head[0] = 0x82; head[1] = 127; head.writeBigUInt64BE(BigInt(data.length), 2); }
  return Buffer.concat([head, data]);
}
function message(header, payload = Buffer.alloc(0)) {
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(json.length);
  return frame(Buffer.concat([size, json, payload]));
}
function proposal(prompt) {
  const parts = [];
  let offset = 0;
  const candidates = [1, 1.35, 0.7].map((grow, k) => {
    const mask = maskOf({ outline: null, ...prompt.geometry }, grow);
    let [x1, y1, x2, y2, area] = [W, H, -1, -1, 0];
    mask.forEach((v, p) => { if (v) { area++; x1 = Math.min(x1, p % W); x2 = Math.max(x2, p % W); y1 = Math.min(y1, p / W | 0); y2 = Math.max(y2, p / W | 0); } });
    const [w, h] = [Math.max(0, x2 - x1 + 1), Math.max(0, y2 - y1 + 1)];
    const stride = (w + 7) >> 3;
    const bits = Buffer.alloc(stride * h);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) if (mask[(y1 + y) * W + x1 + x]) bits[y * stride + (x >> 3)] |= 128 >> (x & 7);
    parts.push(bits);
    const out = { id: `p${prompt.request}-${k}`, score: [0.94, 0.81, 0.77][k], x: x1, y: y1, w, h, area, offset, length: bits.length };
    offset += bits.length;
    return out;
  });
  return message({ type: 'proposal', request: prompt.request, frame: prompt.frame, engine: 'classic', ms: 5, candidates }, Buffer.concat(parts));
}
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.write(message({ type: 'hello', v: 1, worker: { state: 'running', reason: '' }, engines: [] }));
  let buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (data) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 6) {
      let size = buffer[1] & 127;
      let at = 2;
      if (size === 126) { size = buffer.readUInt16BE(2); at = 4; }
      if (buffer.length < at + 4 + size) return;
      const key = buffer.subarray(at, at + 4);
      const body = Buffer.from(buffer.subarray(at + 4, at + 4 + size)).map((b, i) => b ^ key[i & 3]);
      const code = buffer[0] & 15;
      buffer = buffer.subarray(at + 4 + size);
      if (code === 8) return socket.end();
      if (code !== 2) continue;
      const prompt = JSON.parse(body.toString());
      if (prompt.type === 'prompt') socket.write(proposal(prompt));
    }
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
