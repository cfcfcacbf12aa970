/** Chosen frames as runs, as the API takes them. */

/** [{asset, index}, …] → [{asset, start, stop}, …], both included, by asset in the order of the first of each. */
export function runsOf(picked) {
  const assets = new Map();
  for (const { asset, index } of picked) assets.set(asset, (assets.get(asset) ?? new Set()).add(index));
  const runs = [];
  for (const [asset, indices] of assets) {
    for (const index of [...indices].sort((a, b) => a - b)) {
      const last = runs.at(-1);
      if (last?.asset === asset && last.stop === index - 1) last.stop = index;
      else runs.push({ asset, start: index, stop: index });
    }
  }
  return runs;
}
