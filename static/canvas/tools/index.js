/** All tools. A new one is a file beside this and a line here; its key is a line in actions.js. */
import { box } from './box.js';
import { exemplar } from './exemplar.js';
import { inspect } from './inspect.js';
import { outline } from './outline.js';
import { pan } from './pan.js';
import { pointMinus, pointPlus } from './point.js';
import { select } from './select.js';
import { text } from './text.js';

export const TOOLS = [pan, select, pointPlus, pointMinus, box, exemplar, text, outline, inspect];
