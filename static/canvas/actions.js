/**
 * Every action of the workspace, once. The toolbar, the hints in the status bar and the help sheet are made of this
 * table. `label`, `hint`: string keys. `keys` win over class shortcuts; `soft` keys give way to them.
 * `run(app, event)`; `enabled(state)`; `shown: false` keeps it out of the help sheet; `global` works with focus on a control.
 */
import { areInstances } from './instances.js';

const canvasTool = (tool, key, icon) => ({
  id: `tool-${tool}`, tool, keys: [key], icon, group: 'tools', label: `tool.${tool}`, run: (app) => app.useTool(tool),
});
const waits = (s) => Boolean(s.proposal || s.prompt);
const drawing = (s) => s.gesture?.kind === 'ring';
const instances = (s) => areInstances(s.proposal);
const tracked = (s, which) => s.regions.some((region) => region.track_id && which(region));
const several = (s) => (s.proposal?.candidates.length ?? 0) > 1;

export const ACTIONS = [
  canvasTool('pan', 'h', 'hand'),
  { ...canvasTool('select', 'v', 'sel'), after: 'line' },
  canvasTool('point-plus', 'a', 'pplus'),
  canvasTool('point-minus', 'd', 'pminus'),
  canvasTool('box', 'b', 'box'),
  canvasTool('exemplar', 'e', 'exm'),
  { ...canvasTool('text', '/', 'text'), run: (app) => app.startText() },
  { ...canvasTool('outline', 'o', 'outl'), after: 'line' },
  { ...canvasTool('inspect', 'q', 'search'), run: (app) => app.toggleInspect() },

  { id: 'accept', keys: ['Enter'], icon: 'check', group: 'labels', label: 'action.accept', hint: 'hint.accept',
    enabled: (s) => waits(s) || drawing(s) || Boolean(s.retrack), run: (app, event) => app.accept({ held: event?.repeat }) },
  { id: 'reject', keys: ['Escape'], icon: 'x', group: 'labels', label: 'action.reject', hint: 'hint.reject', run: (app) => app.escape() },
  { id: 'take-back', keys: ['Backspace'], group: 'labels', label: 'action.take_back', enabled: (s) => waits(s) || drawing(s),
    run: (app) => app.takeBack() },
  { id: 'next-candidate', keys: ['Tab'], group: 'labels', label: 'action.next_candidate', enabled: several, run: (app) => app.cycle(1) },
  { id: 'previous-candidate', keys: ['Shift+Tab'], group: 'labels', label: 'action.previous_candidate', enabled: several, run: (app) => app.cycle(-1) },
  { id: 'toggle-instance', keys: ['k'], group: 'labels', label: 'action.toggle_instance', hint: 'hint.instance', hintCaps: ['Click', 'K'], enabled: instances, run: (app) => app.toggleInstance() },
  { id: 'limit-down', keys: [','], group: 'labels', label: 'action.limit_down', enabled: instances, run: (app) => app.limitBy(-1) },
  { id: 'limit-up', keys: ['.'], group: 'labels', label: 'action.limit_up', enabled: instances, run: (app) => app.limitBy(1) },
  { id: 'next-engine', keys: ['Shift+e'], icon: 'eng', group: 'labels', label: 'action.next_engine', run: (app) => app.nextEngine() },
  { id: 'track', keys: ['t'], icon: 'trackf', group: 'labels', label: 'action.track', enabled: (s) => Boolean(s.frameId), run: (app) => app.openTrack() },
  { id: 'retrack', keys: ['Shift+t'], icon: 'ancf', group: 'labels', label: 'action.retrack', enabled: (s) => tracked(s, (region) => s.retrack?.id === region.id || s.selected === region.id), run: (app) => app.retrack('between') },
  { id: 'confirm', keys: ['Shift+Enter'], icon: 'ancf', group: 'labels', label: 'action.confirm', enabled: (s) => Boolean(s.selected) || tracked(s, (region) => !region.anchor), run: (app) => app.confirmRegion() },
  { id: 'copy-previous', keys: ['Shift+c'], icon: 'dup', group: 'labels', label: 'action.copy_previous', enabled: (s) => s.index > 0 && Boolean(s.frameId), run: (app) => app.copyPrevious() },
  { id: 'stabilise', keys: ['Shift+s'], icon: 'wave', group: 'labels', label: 'action.stabilise', run: (app) => app.openStabilise() },
  { id: 'matte', keys: ['Shift+a'], icon: 'matte', group: 'labels', label: 'action.matte', run: (app) => app.openMatte() },
  { id: 'see-before', keys: [], soft: ['s'], group: 'view', label: 'action.see_before', enabled: (s) => Boolean(s.compared || s.cutout), run: (app) => app.seeBefore() },
  { id: 'delete', keys: ['Delete'], icon: 'trash', group: 'labels', label: 'action.delete', enabled: (s) => Boolean(s.selected),
    run: (app) => app.removeSelected() },

  { id: 'undo', keys: ['Ctrl+z'], icon: 'undo', group: 'history', bar: true, global: true, label: 'action.undo', enabled: (s) => s.canUndo, run: (app) => app.undo() },
  { id: 'redo', keys: ['Ctrl+Shift+z', 'Ctrl+y'], icon: 'redo', group: 'history', bar: true, global: true, label: 'action.redo', enabled: (s) => s.canRedo, run: (app) => app.redo() },

  { id: 'previous-frame', keys: ['ArrowLeft'], icon: 'prev', group: 'frames', label: 'action.previous_frame', enabled: (s) => s.index > 0, run: (app) => app.step(-1) },
  { id: 'next-frame', keys: ['ArrowRight'], icon: 'next', group: 'frames', label: 'action.next_frame', enabled: (s) => s.index < s.total - 1, run: (app) => app.step(1) },
  { id: 'back-ten', keys: ['Shift+ArrowLeft'], group: 'frames', label: 'action.back_ten', enabled: (s) => s.index > 0, run: (app) => app.step(-10) },
  { id: 'forward-ten', keys: ['Shift+ArrowRight'], group: 'frames', label: 'action.forward_ten', enabled: (s) => s.index < s.total - 1, run: (app) => app.step(10) },
  { id: 'first-frame', keys: ['Home'], icon: 'first', group: 'frames', label: 'action.first_frame', enabled: (s) => s.index > 0, run: (app) => app.goto(0) },
  { id: 'last-frame', keys: ['End'], group: 'frames', label: 'action.last_frame', enabled: (s) => s.index < s.total - 1, run: (app) => app.goto(app.state().total - 1) },
  { id: 'next-review', keys: [], soft: ['n'], icon: 'flag', group: 'frames', label: 'action.next_review', enabled: (s) => Boolean(s.frameId), run: (app) => app.nextReview() },
  { id: 'next-todo', keys: [], soft: ['j'], group: 'frames', label: 'action.next_todo', run: (app) => app.jump('todo', 1) },
  { id: 'next-unlabelled', keys: [], soft: ['u'], group: 'frames', label: 'action.next_unlabelled', run: (app) => app.jump('unlabelled', 1) },
  { id: 'previous-unlabelled', keys: [], soft: ['Shift+u'], group: 'frames', label: 'action.previous_unlabelled', run: (app) => app.jump('unlabelled', -1) },
  { id: 'next-flagged', keys: [], soft: ['g'], group: 'frames', label: 'action.next_flagged', run: (app) => app.jump('flagged', 1) },
  { id: 'previous-flagged', keys: [], soft: ['Shift+g'], group: 'frames', label: 'action.previous_flagged', run: (app) => app.jump('flagged', -1) },
  { id: 'next-anchor', keys: [], soft: ['m'], group: 'frames', label: 'action.next_anchor', run: (app) => app.jump('anchor', 1) },
  { id: 'previous-anchor', keys: [], soft: ['Shift+m'], group: 'frames', label: 'action.previous_anchor', run: (app) => app.jump('anchor', -1) },
  { id: 'range-start', keys: ['{'], group: 'frames', label: 'action.range_start', enabled: (s) => s.total > 1, run: (app) => app.setRangeEdge('start') },
  { id: 'range-stop', keys: ['}'], group: 'frames', label: 'action.range_stop', enabled: (s) => s.total > 1, run: (app) => app.setRangeEdge('stop') },
  // Space is read by keyboard.js: a tap plays, held it pans.
  { id: 'play', keys: ['Space'], icon: 'play', group: 'frames', label: 'action.play', enabled: (s) => s.total > 1, run: (app) => app.togglePlay() },
  { id: 'play-back', keys: ['Shift+Space'], group: 'frames', label: 'action.play_back', enabled: (s) => s.total > 1, run: (app) => app.togglePlay(true) },
  { id: 'slower', keys: ['<'], group: 'frames', label: 'action.slower', run: (app) => app.changeSpeed(-1) },
  { id: 'faster', keys: ['>'], group: 'frames', label: 'action.faster', run: (app) => app.changeSpeed(1) },
  { id: 'loop', keys: [], soft: ['Shift+l'], icon: 'loop', group: 'frames', label: 'action.loop', run: (app) => app.toggleLoop() },
  { id: 'frame-done', keys: ['x'], icon: 'check', group: 'frames', label: 'action.frame_done', enabled: (s) => Boolean(s.frame), run: (app) => app.toggleFrameState('done') },
  { id: 'frame-approved', keys: ['Shift+x'], icon: 'shok', group: 'frames', label: 'action.frame_approved', enabled: (s) => Boolean(s.frame), run: (app) => app.toggleFrameState('approved') },
  { id: 'range-done', keys: ['Alt+x'], icon: 'check', group: 'frames', label: 'action.range_done', enabled: (s) => Boolean(s.range), run: (app) => app.markRange('done') },
  { id: 'range-approved', keys: ['Alt+Shift+x'], icon: 'shok', group: 'frames', label: 'action.range_approved', enabled: (s) => Boolean(s.range), run: (app) => app.markRange('approved') },

  { id: 'zoom-in', keys: ['+', '='], icon: 'plus', group: 'view', label: 'action.zoom_in', run: (app) => app.zoom(1.25) },
  { id: 'zoom-out', keys: ['-', '_'], icon: 'minus', group: 'view', label: 'action.zoom_out', run: (app) => app.zoom(0.8) },
  { id: 'fit', keys: ['f'], soft: ['0'], icon: 'fit', group: 'view', label: 'action.fit', run: (app) => app.fit() },
  { id: 'actual-size', keys: ['Shift+f'], group: 'view', label: 'action.actual_size', run: (app) => app.zoomTo(1) },
  { id: 'toggle-image', keys: [], soft: ['i'], group: 'view', layer: 'image', label: 'layer.image', run: (app) => app.toggleLayer('image') },
  { id: 'toggle-labels', keys: [], soft: ['l'], group: 'view', layer: 'labels', label: 'layer.labels', run: (app) => app.toggleLayer('labels') },
  { id: 'toggle-points', keys: [], soft: ['p'], group: 'view', layer: 'points', label: 'layer.points', run: (app) => app.toggleLayer('points') },
  { id: 'toggle-certificates', keys: [], soft: ['c'], group: 'view', layer: 'certificates', label: 'layer.certificates', run: (app) => app.toggleLayer('certificates') },
  { id: 'onion', keys: [], soft: ['y'], icon: 'layers', group: 'view', label: 'action.onion', run: (app) => app.cycleOnion() },
  { id: 'opacity-down', keys: ['['], group: 'view', label: 'action.opacity_down', run: (app) => app.setOpacity(app.state().opacity - 0.08) },
  { id: 'opacity-up', keys: [']'], group: 'view', label: 'action.opacity_up', run: (app) => app.setOpacity(app.state().opacity + 0.08) },
  { id: 'panels', keys: ['`', '\\'], group: 'view', label: 'action.panels', run: (app) => app.togglePanels() },

  { id: 'what-if', keys: ['w'], icon: 'layers', group: 'classes', label: 'action.what_if', run: (app) => app.toggleWhatIf() },

  { id: 'help', keys: ['?'], icon: 'keys', group: 'help', global: true, label: 'action.help', hint: 'hint.keys', run: (app) => app.help() },
  { id: 'next-region', keys: ['F6'], group: 'help', global: true, label: 'action.next_region', run: (app) => app.cycleFocus(1) },
  { id: 'previous-region', keys: ['Shift+F6'], group: 'help', global: true, shown: false, label: 'action.previous_region', run: (app) => app.cycleFocus(-1) },
];

export const GROUPS = ['tools', 'labels', 'classes', 'frames', 'view', 'history', 'help'];

/** Pointer and class keys have no action object; the help sheet and the status bar list them all the same. */
export const GESTURES = [
  { caps: ['Click'], label: 'gesture.add', hint: 'hint.add', group: 'labels', tools: ['point-plus'] },
  { caps: ['Click'], label: 'gesture.add_minus', hint: 'hint.add_minus', group: 'labels', tools: ['point-minus'] },
  { caps: ['Alt', 'Click'], label: 'gesture.add_minus', hint: 'hint.alt', hintCaps: ['Alt'], group: 'labels', tools: ['point-plus'], again: true },
  { caps: ['Drag'], label: 'gesture.reach', group: 'labels', tools: ['point-plus', 'point-minus'] },
  { caps: ['Shift'], label: 'gesture.preview', hint: 'hint.preview', group: 'labels', tools: ['point-plus', 'point-minus'] },
  { caps: ['Drag'], label: 'gesture.box', hint: 'hint.box', group: 'labels', tools: ['box'] },
  { caps: ['Drag'], label: 'gesture.exemplar', hint: 'hint.exemplar', group: 'labels', tools: ['exemplar'] },
  { caps: ['Alt', 'Drag'], label: 'gesture.exemplar_minus', hint: 'hint.exemplar_minus', group: 'labels', tools: ['exemplar'] },
  { caps: ['Click'], label: 'gesture.instance', group: 'labels', tools: ['text', 'exemplar'] },
  { caps: ['Click'], label: 'gesture.select', hint: 'hint.select', group: 'labels', tools: ['select'] },
  { caps: ['Drag'], label: 'gesture.move_point', hint: 'hint.move_point', group: 'labels', tools: ['select'] },
  { caps: ['Click'], label: 'gesture.ring', hint: 'hint.ring', group: 'labels', tools: ['outline'] },
  { caps: ['Alt', 'Click'], label: 'gesture.remove_node', hint: 'hint.remove_node', group: 'labels', tools: ['outline'] },
  { caps: ['Drag'], label: 'gesture.pan', hint: 'hint.pan', group: 'view', tools: ['pan'] },
  { caps: ['Wheel'], label: 'gesture.zoom', hint: 'hint.zoom', group: 'view', tools: ['pan'] },
  { caps: ['Click'], label: 'gesture.inspect', hint: 'hint.inspect', group: 'view', tools: ['inspect'] },
  { caps: ['←', '→', '↑', '↓'], label: 'gesture.inspect_move', hint: 'hint.inspect_move', group: 'view', tools: ['inspect'] },
  { caps: ['Shift', 'Drag'], label: 'gesture.range', group: 'frames', tools: [] },
  { caps: ['Space'], label: 'gesture.hold_pan', group: 'view', tools: [] },
  { caps: ['1–9'], label: 'gesture.class', hint: 'hint.class', group: 'classes', tools: '*' },
  { caps: ['Shift', '1–9'], label: 'gesture.fresh', group: 'classes', tools: [] },
];

export const actionById = (id) => ACTIONS.find((action) => action.id === id) ?? null;

/** The action of one of `chords` in the 'keys' or 'soft' column, enabled or not; null when there is none. */
export function actionOf(chords, column = 'keys') {
  for (const chord of chords) {
    const found = ACTIONS.find((action) => action[column]?.includes(chord));
    if (found) return found;
  }
  return null;
}

export const isEnabled = (action, state) => !action.enabled || Boolean(action.enabled(state));

/** What a key does: {action} | {cls, fresh} | null. Keys that must stay before class shortcuts before soft keys. */
export function resolve(chords, state, classOf) {
  const hard = actionOf(chords, 'keys');
  if (hard) return { action: hard };
  const found = classOf([...state.classes.values()], chords);
  if (found) return found;
  const soft = actionOf(chords, 'soft');
  return soft ? { action: soft } : null;
}

/** Hints for the status bar: what the tool does, then what waits. */
export function hintsFor(state) {
  const tool = state.held ?? state.tool;
  const out = GESTURES.filter((g) => g.hint && (g.tools === '*' || g.tools.includes(tool)))
    .map((g) => ({ caps: g.hintCaps ?? g.caps, text: g.hint, last: g.tools === '*' }));
  const actions = ACTIONS.filter((a) => a.hint && a.group === 'labels' && (a.id === 'reject' ? waits(state) || state.selected : a.id === 'accept' ? waits(state) || drawing(state) : isEnabled(a, state)))
    .map((a) => ({ chord: a.hintCaps ? null : a.keys[0], caps: a.hintCaps, text: a.id === 'reject' && !waits(state) ? 'hint.deselect' : a.hint }));
  return [...out.filter((h) => !h.last), ...actions, ...out.filter((h) => h.last)];
}
