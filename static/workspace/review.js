/** The review queue, as far as it can be reckoned: where an entry leads and what of the frame it speaks of. Pure. */

/**
 * What to do on the frame so that a person sees what a reason speaks of: {region}, {classId} or null.
 * @param reason {region_id?, class_id?, track_id?} @param regions those of the frame
 */
export function aimOf(reason, regions) {
  const { region_id: own, track_id: track, class_id: classId } = reason;
  const region = (own && regions.find((one) => one.id === own)) || (track && regions.find((one) => one.track_id === track));
  if (region) return { region: region.id, classId: region.class_id };
  return classId ? { region: null, classId } : null;
}

/** Where an entry of another asset is worked on. */
export const addressOf = (project, entry) => `/workspace/${project}?asset=${entry.asset_id}&frame=${entry.index + 1}&review=1`;

/** Never all as long as one is left. */
export const percentOf = (seen, frames) => (frames ? (seen >= frames ? 100 : Math.min(99, Math.round((100 * seen) / frames))) : 0);

const KEY = 'pointillist review';

/** An entry on its way to the page of another asset. */
export function carry(storage, entry) {
  try { storage.setItem(KEY, JSON.stringify(entry)); } catch { /* Then the page asks the server. */ }
}

/** The entry that was carried here, once; null where it is about another frame. */
export function arrived(storage, frame) {
  try {
    const entry = JSON.parse(storage.getItem(KEY));
    if (entry?.frame_id !== frame) return null;
    storage.removeItem(KEY);
    return entry;
  } catch {
    return null;
  }
}
