/** Regions: selection, handles, nodes, delete; and the table of what each intent of the tools does. */
import { createChanges } from './changes.js';
import { findEngine, isReady } from './engines.js';
import { emptyGeometry, insertNode, insideFrame, moveNode, movePoint, nearestPoint, quantise, removeNode, removePoint } from './geometry.js';
import { newId } from './ids.js';
import { regionAt, withoutRegion } from './labelmap.js';
import { proposedClass } from './paint/proposal.js';
import { createPrompts } from './prompts.js';

export function createLabels(context) {
  const { store, emit, say, announce, t } = context;
  const get = store.get;
  const nameOf = (classId) => get().classes.get(classId)?.name ?? '';
  const pointsWord = (n) => t.n('say.points', n);
  const find = (id) => get().regions.find((region) => region.id === id) ?? null;
  const inside = (at) => insideFrame(at, get().width, get().height);
  const refuse = (reason, args) => say(t(reason, args), 'warn');

  /** Why `classId` must not be written to, as a sentence; '' when it may. */
  function lockedReason(classId = proposedClass(get())) {
    if (classId == null) return t('refuse.no_class');
    return get().locked[classId] ? t('refuse.locked', { name: nameOf(classId) }) : '';
  }

  const changes = createChanges(context);
  const prompts = createPrompts(context, { nameOf, pointsWord, find, lockedReason, refuse }, changes);

  /** Show and send new geometry of a region. */
  function commit(id, geometry) {
    const region = find(id);
    if (!region) return;
    const locked = lockedReason(region.class_id);
    if (locked) {
      store.set({ draft: null });
      say(locked, 'warn');
      return;
    }
    const next = { ...region, geometry };
    store.set({ draft: null, regions: get().regions.map((r) => (r.id === id ? next : r)) });
    changes.patch(next, { geometry, engine: drawnBy(region) });
  }

  /** A moved point is answered by the engine that drew the region, where that can run; else by the chosen one. */
  function drawnBy({ certificate }) {
    const { engines, engine } = get();
    return certificate && !certificate.exact && isReady(findEngine(engines, certificate.engine)) ? certificate.engine : engine;
  }

  function removeRegion(id) {
    const region = find(id);
    if (!region) return;
    const locked = lockedReason(region.class_id);
    if (locked) {
      say(locked, 'warn');
      return;
    }
    const state = get();
    prompts.reject({ silent: true });
    store.set({
      regions: state.regions.filter((r) => r.id !== id), map: state.map && withoutRegion(state.map, id),
      selected: state.selected === id ? null : state.selected, point: null, draft: null,
    });
    emit('pt:selection', { region_ids: [] });
    announce(t('say.deleted'));
    changes.remove(region);
    if (region.track_id) emit('pt:done', { text: t.n('scope.deleted', 1), sending: true });
  }

  function removeSelected() {
    const state = get();
    const region = find(state.selected);
    if (!region) return;
    const { points: all, outline } = region.geometry;
    if (state.point === null || (all.length === 1 && !outline)) {
      context.askRemove(region.id);
      return;
    }
    const geometry = removePoint(region.geometry, state.point);
    if (!geometry.points.some((point) => point.label === 1) && !geometry.box) {
      refuse('refuse.no_positive');
      return;
    }
    store.set({ point: null });
    commit(region.id, { ...geometry, outline: null });
  }

  // ---- selection

  function choose(id) {
    const region = find(id);
    const before = get().selected;
    if ((region?.id ?? null) === before) return;
    prompts.reject({ silent: true });
    store.set({ selected: region?.id ?? null, point: null, draft: null });
    emit('pt:selection', { region_ids: region ? [region.id] : [] });
    announce(region ? t('say.selected', { name: nameOf(region.class_id), points: pointsWord(region.geometry.points.length) }) : t('say.deselected'));
  }

  function selectAt(at) {
    if (prompts.pressFound(at)) return;
    const { regions, view, map, hidden, layers } = get();
    const seen = regions.filter((region) => !hidden[region.class_id]);
    if (layers.points) {
      for (const region of seen.slice().reverse()) {
        if (nearestPoint(region.geometry.points.filter((point) => point.label === 1), at, 8 / view.scale) >= 0) {
          choose(region.id);
          return;
        }
      }
    }
    const hit = regionAt(map, at);
    choose(hit && !hidden[hit.class_id] ? hit.id : null);
  }

  // ---- handles and nodes

  function moveHandle({ handle, to, phase }) {
    const state = get();
    const at = inside(to);
    if (handle.source === 'prompt') {
      if (!state.prompt) return;
      const prompt = movePoint(state.prompt, handle.index, phase === 'revert' ? to : at);
      store.set({ prompt, draft: phase === 'move' ? { source: 'prompt', index: handle.index } : null });
      if (phase === 'drop') prompts.set(prompt);
      return;
    }
    const region = find(state.selected);
    if (!region) return;
    if (phase === 'revert') {
      store.set({ draft: null });
      return;
    }
    // The outline was drawn from the old mask: once a point moves, the points speak.
    const geometry = { ...movePoint(region.geometry, handle.index, at), outline: null };
    if (phase === 'drop') commit(region.id, geometry);
    else store.set({ draft: { id: region.id, geometry: { ...geometry, outline: region.geometry.outline }, part: 'point', index: handle.index } });
  }

  function editNode({ kind, ring, node, to, at, phase }) {
    const region = find(get().selected);
    if (!region?.geometry.outline) return;
    const draft = get().draft?.id === region.id ? get().draft.geometry : region.geometry;
    const show = (geometry, n) => store.set({ draft: { id: region.id, geometry, part: 'node', ring, node: n } });
    if (kind === 'insert_node') show(insertNode(region.geometry, ring, node, inside(at)), node + 1);
    else if (kind === 'remove_node') commit(region.id, removeNode(region.geometry, ring, node));
    else if (phase === 'revert') store.set({ draft: null });
    else if (phase === 'drop') commit(region.id, moveNode(draft, ring, node, inside(to)));
    else show(moveNode(draft, ring, node, inside(to)), node);
  }

  function makeOutline({ ring }) {
    const state = get();
    const locked = lockedReason(state.classId);
    if (locked) {
      say(locked, 'warn');
      return;
    }
    prompts.reject({ silent: true });
    const region = {
      id: newId(), frame_id: state.frameId, class_id: state.classId,
      geometry: { ...emptyGeometry(), outline: [ring.map(([x, y]) => [quantise(x), quantise(y)])] },
      track_id: state.joins?.class_id === state.classId ? state.joins.id : null, anchor: true, certificate: null, area: 0, author: '', revision: 0, order: state.regions.length,
    };
    store.set({ regions: [...get().regions, region] });
    announce(t('say.accepted', { name: nameOf(state.classId) }));
    changes.add(region, {});
  }

  const intents = {
    add_point: prompts.addPoint,
    set_box: prompts.setBox,
    add_exemplar: prompts.addExemplar,
    toggle_instance: ({ at }) => prompts.toggleAt(at),
    preview: prompts.preview,
    select: ({ at }) => selectAt(at),
    select_handle: ({ handle }) => { if (handle.source === 'region') store.set({ point: handle.index }); },
    move_handle: moveHandle,
    move_node: editNode,
    insert_node: editNode,
    remove_node: editNode,
    make_outline: makeOutline,
    remove_selected: removeSelected,
  };

  return {
    ...prompts, intents, removeRegion, removeSelected, choose, lockedReason,
    setRegionClass(id, classId) {
      const region = find(id);
      if (region && region.class_id !== classId) changes.patch(region, { class_id: classId });
    },
    setAnchors(regions, anchor) {
      const ids = new Set(regions.map((region) => region.id));
      store.set({ regions: get().regions.map((region) => (ids.has(region.id) ? { ...region, anchor } : region)) });
      for (const region of regions) changes.patch(region, { anchor });
    },
    setRegionAttributes(id, attributes) {
      const region = find(id);
      const locked = region && lockedReason(region.class_id);
      if (locked) say(locked, 'warn');
      else if (region) changes.patch(region, { attributes });
    },
  };
}
