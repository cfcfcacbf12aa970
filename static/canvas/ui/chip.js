/** The proposal chip: whose class, which engine, which candidates, accept, reject. It stands where it covers no prompt point. */
import { boundsOf, placeChip } from '../chip.js';
import { el, icon, kbd, swatch } from '../dom.js';
import { LIMITS, areInstances, keptOf } from '../instances.js';
import { proposedClass } from '../paint/proposal.js';
import { toScreen } from '../view.js';

const percentOf = (value) => `${Math.round((100 * (value - LIMITS.least)) / (LIMITS.most - LIMITS.least))}%`;

export function mountChip(host, { app, store, t }) {
  const who = el('span', { class: 'who' });
  const more = el('button', { type: 'button', class: 'more', 'aria-label': t('proposal.next'), onclick: () => app.cycle(1) });
  const slider = el('input', {
    type: 'range', class: 'pt-range', min: String(LIMITS.least), max: String(LIMITS.most), step: String(LIMITS.step), 'aria-label': t('proposal.limit'),
    title: `${t('proposal.limit')} (, .)`, oninput: () => app.setLimit(slider.valueAsNumber),
  });
  const from = el('output', { class: 'sc' });
  const limit = el('span', { class: 'lim', hidden: true }, slider, from);
  const accept = el('button', { type: 'button', class: 'ac', onclick: () => app.accept() });
  const reject = el('button', { type: 'button', class: 'rj', onclick: () => app.reject() }, icon('x'), t('proposal.reject'), kbd('Esc'));
  const chip = el('div', { class: 'pchip', id: 'proposal', role: 'group', 'aria-label': t('proposal.group'), hidden: true }, who, limit, more, accept, reject);
  host.append(chip);
  let size = { w: 0, h: 0 };

  const word = (text, kind = 'st') => el('span', { class: kind }, text);

  function fill(state) {
    const { proposal } = state;
    chip.hidden = !proposal;
    if (!proposal) {
      who.replaceChildren();
      return;
    }
    const { engine, presence } = proposal;
    const m = proposal.candidates.length;
    const cls = state.classes.get(proposedClass(state));
    const found = areInstances(proposal);
    const kept = found ? keptOf(proposal, state.scoreLimit).length : 0;
    const named = [swatch(cls?.colour ?? '#888888'), el('b', { class: 'tr' }, cls?.name ?? '')];
    who.replaceChildren(...named, ...(found
      ? [word(t('proposal.kept', { n: kept, m })), ...(presence === null ? [] : [word(t('proposal.present', { presence: presence.toFixed(2) }), 'st pres')])]
      : [word(t('proposal.word')), word(proposal.candidates[proposal.at].score.toFixed(2), 'sc')]), word(t('proposal.by', { engine }), 'st by'));
    limit.hidden = !found;
    slider.value = String(state.scoreLimit);
    slider.style.setProperty('--v', percentOf(state.scoreLimit));
    from.textContent = `≥ ${state.scoreLimit.toFixed(2)}`;
    more.hidden = found || m < 2;
    more.replaceChildren(t('proposal.of', { n: proposal.at + 1, m }), kbd('Tab'));
    accept.setAttribute('aria-disabled', String(found && !kept));
    accept.replaceChildren(icon('check'), found ? t('proposal.accept_n', { n: kept }) : t('proposal.accept'), kbd('↵'));
    size = { w: chip.offsetWidth, h: chip.offsetHeight };
  }

  function place(state) {
    const { proposal, prompt, view, viewport } = state;
    const loops = areInstances(proposal) ? proposal.candidates.flatMap((candidate) => candidate.loops) : proposal?.candidates[proposal.at].loops;
    const bounds = loops && boundsOf(loops);
    if (!bounds) return;
    const a = toScreen(view, { x: bounds.x1, y: bounds.y1 });
    const b = toScreen(view, { x: bounds.x2, y: bounds.y2 });
    const corners = (prompt?.exemplars ?? []).map(({ box: [x, y] }) => ({ x, y }));
    const points = [...(prompt?.points ?? []), ...corners].map((p) => toScreen(view, p));
    const at = placeChip({ x1: a.x, y1: a.y, x2: b.x, y2: b.y }, size, viewport, points);
    chip.style.transform = `translate(${at.x}px, ${at.y}px)`;
  }

  store.on((state, changed) => {
    if (['proposal', 'classId', 'prompt', 'classes', 'scoreLimit'].some((key) => changed.has(key))) fill(state);
    // While the limit is being dragged the chip stays under the hand.
    if (state.proposal && ['proposal', 'prompt', 'view', 'viewport', 'classId'].some((key) => changed.has(key))) place(state);
  });
}
