/** Least recently used, bounded by bytes. `drop` is called with every value that leaves. */
export function createLru(limit, drop = () => {}) {
  const entries = new Map();
  let total = 0;
  function remove(key) {
    const entry = entries.get(key);
    if (!entry) return;
    entries.delete(key);
    total -= entry.bytes;
    drop(entry.value, key);
  }
  return {
    get(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    has: (key) => entries.has(key),
    keys: () => entries.keys(),
    set(key, value, bytes) {
      const old = entries.get(key);
      if (old?.value === value) {
        entries.delete(key);
        total -= old.bytes;
      } else {
        remove(key);
      }
      entries.set(key, { value, bytes });
      total += bytes;
      // The newest always stays: a frame larger than the limit must still be shown.
      for (const oldest of entries.keys()) {
        if (total <= limit || oldest === key) break;
        remove(oldest);
      }
    },
    remove,
    clear() { for (const key of [...entries.keys()]) remove(key); },
    get bytes() { return total; },
    get size() { return entries.size; },
  };
}
