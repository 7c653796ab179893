/* ---- The tree ---- */
const seen = new Map();
let here;
const flatten = (node, depth = 0) => [{ node, depth }, ...(node.children || []).flatMap(child => flatten(child, depth + 1))];
function treeRow({ node, depth }) {
  const row = el('tr', node.kind === 'supervisor' ? 'supervisor' : '');
  const name = el('th', '', el('span', 'name', node.path.split('/').pop()), el('span', 'soft kind', node.strategy ? `${node.kind}, ${node.strategy}` : node.kind));
  name.scope = 'row';
  name.title = node.path;
  name.style.setProperty('--depth', depth);
  const crash = el('td', '');
  crash.dataset.crash = '';
  // The root's crash is the end of the process, which nothing here could show.
  if (depth > 0) {
    const button = el('button', 'danger', 'Crash');
    button.setAttribute('aria-label', `Crash ${node.path}`);
    button.addEventListener('click', () => act(button, `/actors/${node.path.split('/').map(encodeURIComponent).join('/')}/crash`, () => `${node.path} crashes on its next turn.`));
    crash.append(button);
  }
  row.cells_ = { crash, status: el('td', 'status'), restarts: el('td', 'num'), budget: el('td', ''), waiting: el('td', 'num'), flight: el('td', 'num'), handled: el('td', 'num'), failed: el('td', 'num'), incarnation: el('td', 'num'), started: el('td', 'soft started') };
  row.append(name, ...Object.values(row.cells_));
  return row;
}
function updateTreeRow(row, { node }) {
  const cells = row.cells_, { restarts } = node;
  const before = seen.get(node.path);
  const reborn = before ? node.incarnation > before.incarnation : node.incarnation > 1 && Date.now() - Date.parse(node.started_at) < JUST;
  const since = reborn ? Date.now() : before && before.since || 0;
  seen.set(node.path, { incarnation: node.incarnation, since });
  const just = Date.now() - since < JUST;
  row.classList.toggle('just', just);
  const key = `${node.status} ${node.stalled} ${just}`;
  if (cells.status.dataset.key !== key) {
    cells.status.dataset.key = key;
    const colour = node.stalled ? 'bad' : { running: 'good', starting: 'warn' }[node.status] || 'bad';
    cells.status.replaceChildren(el('span', colour, node.status), node.stalled ? el('span', 'pill bad', 'stalled') : just ? el('span', 'pill', 'restarted') : '');
  }
  number(cells.restarts, restarts.total);
  const { in_window: used, max, period_s: period } = restarts;
  set(cells.budget, max === undefined ? '' : `${used} of ${max} in ${period} s`);
  cells.budget.className = strain(used, max);
  number(cells.waiting, node.mailbox_depth);
  number(cells.flight, node.in_flight);
  number(cells.handled, node.handled_total);
  number(cells.failed, node.failed_total);
  cells.failed.classList.toggle('bad', node.failed_total > 0);
  number(cells.incarnation, node.incarnation);
  setTime(cells.started, node.started_at);
}
function number(cell, value) {
  set(cell, value === undefined ? '' : counted.format(value));
  cell.classList.toggle('zero', value === 0);
}
function showTree({ node, root }) {
  const rows = flatten(root);
  here = node;
  set($('node'), `Node ${node}`);
  const down = rows.filter(({ node }) => node.status !== 'running').length;
  const stalled = rows.filter(({ node }) => node.stalled).length;
  const trouble = [down && `${down} not running`, stalled && `${stalled} stalled`].filter(Boolean).join(', ');
  const actors = rows.filter(({ node }) => node.kind !== 'supervisor');
  const restarts = actors.reduce((sum, { node }) => sum + node.restarts.total, 0);
  set($('tree-summary'), `${actors.length} actors, ${trouble || 'all running'}, ${counted.format(restarts)} ${restarts === 1 ? 'restart' : 'restarts'}`);
  sync($('tree'), rows, ({ node }) => node.path, treeRow, updateTreeRow);
  showCrash();
}
function showCrash() {
  for (const cell of document.querySelectorAll('[data-crash]')) cell.hidden = !$('chaos').checked;
}
