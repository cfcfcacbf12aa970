/** Instances: candidates that may all be right. Which are kept is their score, unless a click said otherwise. Pure. */
import { emptyGeometry } from './geometry.js';

const STEP = 0.05;
export const LIMITS = { least: 0, most: 0.95, step: STEP };

export const areInstances = (proposal) => proposal?.kind === 'instances';

export function isKept(proposal, candidate, limit) {
  return proposal.picks[candidate.id] ?? candidate.score >= limit;
}

export const keptOf = (proposal, limit) => proposal.candidates.filter((candidate) => isKept(proposal, candidate, limit));

/** The proposal with candidate `index` in instead of out, or the other way round. */
export function toggled(proposal, index, limit) {
  const candidate = proposal.candidates[index];
  return { ...proposal, at: index, picks: { ...proposal.picks, [candidate.id]: !isKept(proposal, candidate, limit) } };
}

/** Index of the smallest candidate that covers `at`, or -1: a thing before what it stands on. */
export function instanceAt(proposal, at) {
  const x = Math.floor(at.x);
  const y = Math.floor(at.y);
  let best = -1;
  proposal.candidates.forEach(({ mask, area }, index) => {
    const column = x - mask.x;
    const row = y - mask.y;
    if (column < 0 || row < 0 || column >= mask.w || row >= mask.h || !mask.bits[row * mask.w + column]) return;
    if (best < 0 || area < proposal.candidates[best].area) best = index;
  });
  return best;
}

/** A score limit moved by so many steps, in its range. */
export const limitBy = (limit, steps) => limitOf(limit + steps * STEP);
export const limitOf = (value) => Math.round(Math.min(LIMITS.most, Math.max(LIMITS.least, value)) * 100) / 100;

/** What is sent for one instance: its box, and the text that found it. The server makes points of its mask. */
export function instanceGeometry({ mask }, text) {
  return { ...emptyGeometry(), box: [mask.x, mask.y, mask.x + mask.w, mask.y + mask.h], text: text ?? null };
}

/** `colour` mixed with white or black, so that neighbours of one class can be told apart. */
export function tint(colour, index) {
  const [towards, share] = [[255, 0], [255, 0.35], [0, 0.3], [255, 0.6], [0, 0.5]][index % 5];
  const value = Number.parseInt(colour.slice(1), 16);
  const mixed = [16, 8, 0].map((shift) => Math.round(((value >> shift) & 255) * (1 - share) + towards * share));
  return `#${mixed.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
