/* ---- The page ---- */
function endpoint(method, path, operation) {
  const id = operation.operationId;
  const needs = operation.security && (operation.security.some(one => !Object.keys(one).length) ? 'token optional' : 'token');
  const parameters = (operation.parameters || []).map(resolve);
  const body = operation.requestBody && resolve(operation.requestBody).content['application/json'];
  const summary = String(operation.summary || '').replace(/\.$/, '');
  const details = el('details', { className: 'op', id },
    el('summary', {}, el('h3', {}, el('span', { className: 'method ' + method }, method.toUpperCase()), el('span', { className: 'path' }, slashes(path)), el('span', { className: 'sum' }, summary)),
      needs ? el('span', { className: 'pill' }, needs) : ''));
  // What is inside is made when it is first looked at: most of it never is.
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    details.append(el('div', { className: 'inner' },
      el('div', {}, operation.description ? el('div', { className: 'prose' }, prose(operation.description)) : '',
        parameters.length ? [el('h4', {}, 'Parameters'), table(parameters.map(one => ({ name: one.name, schema: resolve(one.schema), needed: one.required, type: `${kind(one.schema)} in the ${one.in}`, description: one.description })), true)] : '',
        body ? [el('h4', {}, 'Body'), table(fieldsOf(body.schema), true)] : '',
        el('h4', {}, 'Responses'), Object.entries(operation.responses).map(([status, one]) => response(status, one))),
      el('div', {}, tryIt(method, path, operation, id))));
  });
  return details;
}
function reveal() {
  const target = location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)));
  if (target && target.matches('details.op')) { target.open = true; target.scrollIntoView(); }
}
async function load() {
  try {
    const answer = await fetch('/api/openapi.json');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = await answer.json();
  } catch (error) {
    const again = el('button', { type: 'button', onclick: load }, 'Try again');
    $('sections').replaceChildren(el('div', { className: 'trouble row' }, `The description could not be read: ${error.message}.`, again));
    return;
  }
  $('version').textContent = `Version ${api.info.version}`;
  $('about').replaceChildren(...prose(api.info.description));
  const all = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter(method => item[method]).map(method => ({ path, method, operation: item[method] })));
  const sections = [], toc = [];
  for (const tag of api.tags) {
    const mine = all.filter(({ operation }) => operation.tags[0] === tag.name);
    if (!mine.length) continue;
    sections.push(el('section', { ariaLabel: tag.name }, el('h2', {}, tag.name), el('p', { className: 'soft' }, words(tag.description || '')), mine.map(one => endpoint(one.method, one.path, one.operation))));
    toc.push(el('h2', {}, tag.name), el('ul', {}, mine.map(({ method, operation }) => el('li', {}, el('a', { href: '#' + operation.operationId },
      el('span', { className: 'method ' + method }, method.toUpperCase()), el('span', {}, String(operation.summary || '').replace(/\.$/, '')))))));
  }
  $('sections').replaceChildren(...sections);
  $('toc').replaceChildren(...toc);
  reveal();
}
const wide = matchMedia('(min-width: 62rem)');
const unfold = () => { $('contents').open = wide.matches; };
wide.addEventListener('change', unfold);
unfold();
$('toc').addEventListener('click', event => {
  const link = event.target.closest('a');
  // The same hash twice is no change of it.
  if (link && link.hash === location.hash) { event.preventDefault(); reveal(); }
  if (link && !wide.matches) $('contents').open = false;
});
addEventListener('hashchange', reveal);
$('token').addEventListener('input', () => keepToken(token()));
$('forget').addEventListener('click', () => { keepToken(''); $('token').focus(); });
keepToken(sessionStorage.getItem(TOKEN) || '');
load();
