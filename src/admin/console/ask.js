'use strict';
const TICK = 1000, JOBS_EVERY = 2, ANSWER_WITHIN = 4000, JUST = 15000, NOTICE = 8000;
const DEAD_SHOWN = 50, RECENT_SHOWN = 25;
const RESTARTS_READ = 20, RESTARTS_SHOWN = 100, RESTARTS_KEPT = 1000;
const SILENT = 40000, AGAIN = 1000, AGAIN_AT_MOST = 10000, HURRY = 200, BEGINNING = '0';
const STATES = ['scheduled', 'available', 'running', 'completed', 'discarded', 'cancelled'];
const TOKEN = 'callboard.admin_token';
const $ = id => document.getElementById(id);

/* Whatever the server says goes in as text, and only where it has changed: nothing flickers. */
function el(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}
function set(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}
/* Brings the rows of a table body to what there is to show; those that stay are not touched. */
function sync(body, items, key, make, update) {
  const known = body.rowsByKey || (body.rowsByKey = new Map());
  const wanted = new Set(items.map(key));
  for (const [one, row] of known) if (!wanted.has(one)) { row.remove(); known.delete(one); }
  items.forEach((item, at) => {
    const row = known.get(key(item)) || make(item);
    known.set(key(item), row);
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
    update(row, item);
  });
}
function ago(moment) {
  if (!moment) return '';
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(moment)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}
function setTime(cell, moment) {
  set(cell, ago(moment));
  if (cell.title !== (moment || '')) cell.title = moment || '';
}
const counted = new Intl.NumberFormat('en');
const strain = (used, max) => used >= max ? 'bad' : used * 2 >= max ? 'warn' : 'soft';
const pause = time => new Promise(resolve => { setTimeout(resolve, time); });

/* ---- Asking ---- */
class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}
function credentials() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { authorization: `Bearer ${token}` } : {};
}
async function ask(path, method = 'GET') {
  const answer = await fetch(path, { method, cache: 'no-store', headers: credentials(), signal: AbortSignal.timeout(ANSWER_WITHIN) });
  const said = await answer.json().catch(() => undefined);
  if (!answer.ok) throw new Refused(answer.status, said && said.error ? said.error.message : `Status ${answer.status}`);
  return said;
}
let noticed;
function notice(text) {
  // What is shown below an open dialog cannot be read.
  ($('job').open ? $('job') : document.body).append($('notice'));
  $('notice').textContent = text;
  clearTimeout(noticed);
  noticed = setTimeout(() => { $('notice').textContent = ''; }, NOTICE);
}
/* What an operator asked for, and what came of it: `done` says it, knowing the answer. */
async function act(button, path, done) {
  const focused = document.activeElement === button;
  button.disabled = true;
  try {
    notice(done(await ask(path, 'POST')));
  } catch (error) {
    if (error.status === 401) signIn();
    notice(error instanceof Refused ? `Refused (${error.status}): ${error.message}` : 'There was no answer; whether it happened is unknown.');
  } finally {
    button.disabled = false;
    if (focused) button.focus();
  }
}
