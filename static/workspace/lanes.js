/** The rows of the lanes: a class, and below it, when it is open, its tracks and the regions without a track. Pure. */
import { lengthOf, union, valueAt, visibleMarks, without } from './runs.js';

export const ROW = 20;
const FEW_TRACKS = 3;
const NONE = Object.freeze([]);

const whole = new WeakMap();

/** What a closed class shows: the sum of its tracks and of its regions without a track. Kept for each answer. */
function sumOf(lane) {
  if (!whole.has(lane)) {
    const anchors = [...new Set([...lane.tracks.flatMap((track) => track.anchors), ...lane.loose_anchors])].sort((a, b) => a - b);
    whole.set(lane, {
      anchors,
      flagged: union([...lane.tracks.map((track) => track.flagged), lane.loose_flagged]),
      lost: without(union(lane.tracks.map((track) => track.lost)), lane.regions),
    });
  }
  return whole.get(lane);
}

/** Whether a class may be opened: its tracks say more than the class itself. */
export const canOpen = (lane) => lane.tracks.length > 0;

/** Whether a class is open as long as nobody opened or closed it. */
export const opensItself = (lane) => canOpen(lane) && lane.tracks.length <= FEW_TRACKS;

/**
 * @param lanes the answer of the server, or null
 * @param classes Map of id → {name, colour}, in the order of the panel
 * @param isOpen (lane) → boolean
 * @param words {unknown(id), loose, nameless(n)}
 * @returns rows {key, kind: class|track|loose, level, classId, trackId, name, colour, open (null: cannot), size, position,
 *   regions, anchors, lost, flagged, sum: true where tracks below say the details}
 */
export function rowsOf(lanes, classes, isOpen, words) {
  const found = new Map((lanes?.classes ?? []).map((lane) => [lane.class_id, lane]));
  const order = [...classes.keys()].filter((id) => found.has(id));
  for (const id of found.keys()) if (!classes.has(id)) order.push(id);
  const rows = [];
  order.forEach((id, at) => {
    const lane = found.get(id);
    const open = canOpen(lane) && isOpen(lane);
    const name = classes.get(id)?.name ?? words.unknown(id);
    const colour = classes.get(id)?.colour ?? '#808080';
    rows.push({
      key: `c${id}`, kind: 'class', level: 1, classId: id, trackId: null, name, colour, lane,
      open: canOpen(lane) ? open : null, tracks: lane.tracks.length + lane.more, position: at + 1, size: order.length,
      regions: lane.regions, ...(open ? { anchors: NONE, lost: NONE, flagged: NONE, sum: true } : { ...sumOf(lane), sum: false }),
    });
    if (!open) return;
    const size = lane.tracks.length + (lane.loose.length ? 1 : 0);
    lane.tracks.forEach((track, n) => rows.push({
      key: `c${id} ${track.id}`, kind: 'track', level: 2, classId: id, trackId: track.id, colour,
      name: track.name || words.nameless(n + 1), open: null, position: n + 1, size, sum: false,
      regions: track.regions, anchors: track.anchors, lost: track.lost, flagged: track.flagged,
    }));
    if (lane.loose.length) {
      rows.push({
        key: `c${id} loose`, kind: 'loose', level: 2, classId: id, trackId: null, colour, name: words.loose,
        open: null, position: size, size, sum: false,
        regions: lane.loose, anchors: lane.loose_anchors, lost: NONE, flagged: lane.loose_flagged,
      });
    }
  });
  return rows;
}

/** How many tracks the server knows and did not list. */
export const unlisted = (lanes) => (lanes?.classes ?? []).reduce((sum, lane) => sum + lane.more, 0);

/** Whether `index` is one of the ascending `marks`. */
export function isMark(marks, index) {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks[middle] < index) low = middle + 1;
    else high = middle;
  }
  return marks[low] === index;
}

/** The words for what a row has on a frame. */
export const FACTS = {
  anchor: 'lane.is_anchor', flagged: 'lane.is_flagged', region: 'lane.is_region', lost: 'lane.is_lost', none: 'lane.is_none',
};

/** What a row has on a frame: a key of FACTS. */
export function factAt(row, index) {
  if (valueAt(row.regions, index)) {
    if (isMark(row.anchors, index)) return 'anchor';
    return valueAt(row.flagged, index) ? 'flagged' : 'region';
  }
  return valueAt(row.lost, index) ? 'lost' : 'none';
}

/** Anchors nearer than this are drawn as one line with a diamond at each end. */
export const ANCHOR_PX = 13;

/** The anchors to draw, as runs: of length 1, or from the first to the last of those too near to tell apart. */
export const anchorRuns = (row, cell) => visibleMarks(row.anchors, cell, ANCHOR_PX);

/** The anchor under a pointer at the fraction `at` (frames) within `reach` frames, or −1. */
export function anchorNear(row, at, reach) {
  const runs = row.anchors;
  let best = -1;
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle] + 0.5 < at - reach) low = middle + 1;
    else high = middle;
  }
  for (let i = low; i < runs.length && runs[i] + 0.5 <= at + reach; i++) {
    if (best < 0 || Math.abs(runs[i] + 0.5 - at) < Math.abs(best + 0.5 - at)) best = runs[i];
  }
  return best;
}

/** The row of a region: its track's, where the class is closed the class's; −1 when there is none. */
export function rowOfRegion(rows, region) {
  if (!region) return -1;
  const own = rows.findIndex((row) => row.level === 2 && row.classId === region.class_id
    && (region.track_id ? row.trackId === region.track_id : row.kind === 'loose'));
  return own >= 0 ? own : rows.findIndex((row) => row.kind === 'class' && row.classId === region.class_id);
}

/** The region of a row among those of a frame. */
export const regionOfRow = (row, regions) => regions.find((region) => region.class_id === row.classId
  && (row.kind === 'class' || (row.kind === 'track' ? region.track_id === row.trackId : !region.track_id))) ?? null;

/** Rows [first, last) that are near the window of a scrolled list. */
export function rowsInView({ top, height, count, over = 4 }) {
  const first = Math.max(0, Math.floor(top / ROW) - over);
  return { first, last: Math.min(count, Math.ceil((top + height) / ROW) + over) };
}

/** Numbers for the words about a row. */
export const figuresOf = (row) => ({
  frames: lengthOf(row.regions), anchors: row.anchors.length, flagged: lengthOf(row.flagged), lost: lengthOf(row.lost),
});

