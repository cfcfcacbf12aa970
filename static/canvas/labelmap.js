/** The region map of a frame and its colours. Pure: typed arrays in, typed arrays out. */
import { traceLoops } from './trace.js';

/**
 * Body of GET /frames/{id}/region-map → {width, height, regions, key, substituted, ids}.
 * substituted: a sentence where regions had to be drawn by another engine than theirs, else ''.
 * ids: Uint8Array|Uint16Array (height * width) of index + 1 into `regions`, 0 = unlabelled.
 */
export function parseRegionMap(buffer) {
  if (buffer.byteLength < 4) throw new RangeError('The region map is cut off.');
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const wide = header.dtype === 'u2';
  const size = header.width * header.height * (wide ? 2 : 1);
  if (buffer.byteLength - 4 - length !== size) throw new RangeError('The region map is cut off.');
  // The header may end on an odd byte: 16-bit views need their own, aligned copy.
  const ids = wide ? new Uint16Array(buffer.slice(4 + length)) : new Uint8Array(buffer, 4 + length);
  return { width: header.width, height: header.height, regions: header.regions, key: header.key, substituted: header.substituted ?? '', ids };
}

/** '#rrggbb' → [r, g, b]. */
export function rgb(colour) {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/**
 * Class by class paint order: low priority first; equal priorities: the later class of the template wins.
 * @returns {Map<number, number>} class id → rank from 1
 */
export function classRanks(classes) {
  const order = classes.map((cls, i) => ({ id: cls.id, priority: cls.priority, place: cls.order ?? i }));
  order.sort((a, b) => a.priority - b.priority || a.place - b.place);
  return new Map(order.map((cls, i) => [cls.id, i + 1]));
}

/**
 * Region index → RGBA as little-endian Uint32, 256 or 65,536 entries.
 * @param style {classes: Map id → class, opacity, opacityOf: {id: 0…1, instead of opacity}, hidden: {id: true}, bare: boolean}
 */
export function colourTable(map, style) {
  const table = new Uint32Array(map.ids.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
  map.regions.forEach((region, i) => {
    const cls = style.classes.get(region.class_id);
    if (!cls || style.hidden[region.class_id]) return;
    const [r, g, b] = rgb(cls.colour);
    const alpha = style.bare ? 255 : Math.round(255 * (style.opacityOf[region.class_id] ?? style.opacity));
    table[i + 1] = ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
  return table;
}

/** ids through the table into `out` (Uint32Array of the same length). */
export function colourise(ids, table, out) {
  for (let i = 0, n = ids.length; i < n; i++) out[i] = table[ids[i]];
  return out;
}

/** Region index → class id (0 = unlabelled), as long as the id type can count. */
export function classTable(map) {
  const table = new Uint16Array(map.ids.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
  map.regions.forEach((region, i) => { table[i + 1] = region.class_id; });
  return table;
}

/** Class borders of a map, traced once and kept with it: {value: class id, xy}[]. */
export function classLoops(map, exact = false) {
  const key = exact ? 'corners' : 'loops';
  map[key] ??= traceLoops(map.ids, classTable(map), map.width, map.height, exact);
  return map[key];
}

/** What is seen of one region: its loops, kept with the map. */
export function regionLoops(map, regionId) {
  const index = map.regions.findIndex((region) => region.id === regionId);
  if (index < 0) return [];
  map.outlines ??= new Map();
  if (!map.outlines.has(regionId)) {
    const group = new Uint8Array(map.ids.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
    group[index + 1] = 1;
    map.outlines.set(regionId, traceLoops(map.ids, group, map.width, map.height));
  }
  return map.outlines.get(regionId);
}

/** The region that owns the pixel under `at`, or null. */
export function regionAt(map, at) {
  const x = Math.floor(at.x);
  const y = Math.floor(at.y);
  if (!map || x < 0 || y < 0 || x >= map.width || y >= map.height) return null;
  return map.regions[map.ids[y * map.width + x] - 1] ?? null;
}

/** Share of unlabelled pixels, 0…1. */
export function unlabelledShare(map) {
  let none = 0;
  for (let i = 0; i < map.ids.length; i++) if (map.ids[i] === 0) none++;
  return map.ids.length ? none / map.ids.length : 1;
}

/**
 * The map as it will look when `mask` belongs to `region`: painter's algorithm by class rank, so that the
 * picture changes with the key press; the server's own map replaces it when it arrives.
 * A region already in the map is taken out first (its old pixels become unlabelled).
 */
export function paintMask(map, mask, region, ranks) {
  const regions = map.regions.slice();
  let index = regions.findIndex((other) => other.id === region.id) + 1;
  const isNew = index === 0;
  if (isNew) index = regions.push({ id: region.id, class_id: region.class_id, area: 0 });
  else regions[index - 1] = { ...regions[index - 1], class_id: region.class_id };
  const wide = index > 255 || map.ids.BYTES_PER_ELEMENT === 2;
  const ids = wide ? Uint16Array.from(map.ids) : map.ids.slice();
  if (!isNew) for (let i = 0; i < ids.length; i++) if (ids[i] === index) ids[i] = 0;
  const rank = ranks.get(region.class_id) ?? 0;
  const rankOf = [0, ...regions.map((other) => ranks.get(other.class_id) ?? 0)];
  for (let y = 0; y < mask.h; y++) {
    const from = y * mask.w;
    const to = (mask.y + y) * map.width + mask.x;
    for (let x = 0; x < mask.w; x++) {
      if (mask.bits[from + x] && rankOf[ids[to + x]] <= rank) ids[to + x] = index;
    }
  }
  return { width: map.width, height: map.height, regions, ids, key: null };
}

/** The map without a region: its pixels become unlabelled until the server's map arrives. */
export function withoutRegion(map, regionId) {
  const index = map.regions.findIndex((region) => region.id === regionId) + 1;
  if (!index) return map;
  const ids = map.ids.slice();
  for (let i = 0; i < ids.length; i++) if (ids[i] === index) ids[i] = 0;
  return { ...map, ids, key: null, loops: undefined, corners: undefined, outlines: undefined };
}

/** A map of nothing, for frames whose map has not come yet. */
export function emptyMap(width, height) {
  return { width, height, regions: [], ids: new Uint8Array(width * height), key: null };
}
