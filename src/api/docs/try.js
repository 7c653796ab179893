/* ---- Trying it ---- */
const token = () => $('token').value.trim();
function keepToken(value) {
  $('token').value = value;
  value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN);
  $('token-state').textContent = value ? 'kept until this tab closes' : 'none';
  $('forget').hidden = !value;
}
function input(parameter, id) {
  const schema = resolve(parameter.schema);
  const choices = schema.enum || (schema.type === 'boolean' && ['true', 'false']);
  const shown = parameter.example !== undefined ? parameter.example : schema.default;
  const common = { id, name: parameter.name, required: parameter.required };
  if (choices) return el('select', common, el('option', { value: '' }, '(left out)'), choices.map(choice => el('option', {}, choice)));
  return el('input', { ...common, autocomplete: 'off', spellcheck: false, placeholder: shown === undefined ? '' : String(shown), inputMode: schema.type === 'integer' ? 'numeric' : 'text' });
}
function tryIt(method, path, operation, id) {
  const parameters = (operation.parameters || []).map(resolve);
  const fields = parameters.map(parameter => [parameter, input(parameter, `${id}-${parameter.name}`)]);
  const media = operation.requestBody && resolve(operation.requestBody).content['application/json'];
  const text = media && pretty(media.example !== undefined ? media.example : example(media.schema));
  const body = media && el('textarea', { id: id + '-body', rows: text.split('\n').length + 1, spellcheck: false, autocapitalize: 'off' }, text);
  const auth = operation.security && el('input', { type: 'checkbox', checked: true });
  const streams = 'text/event-stream' in (resolve(operation.responses['200']).content || {});
  const send = el('button', { type: 'submit', className: 'main' }, streams ? 'Open' : 'Send');
  const stop = el('button', { type: 'button', hidden: true }, 'Stop');
  const result = el('div', { className: 'result', role: 'status' });
  const form = el('form', {},
    el('h4', {}, 'Try it'),
    fields.length ? el('div', { className: 'two' }, fields.map(([parameter, field]) =>
      el('label', { htmlFor: field.id }, parameter.name, parameter.required ? el('span', { className: 'need' }, ' required') : '', field))) : '',
    body ? el('label', { htmlFor: body.id }, 'Body ', el('span', { className: 'soft' }, 'as JSON; Ctrl+Enter sends'), body) : '',
    el('div', { className: 'row' }, send, stop, auth ? el('label', {}, auth, 'with the access token') : ''),
    result);
  form.addEventListener('keydown', event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
  form.addEventListener('submit', async event => {
    event.preventDefault();
    if (send.disabled) return;
    const query = new URLSearchParams(), headers = {};
    let target = path;
    for (const [parameter, { value }] of fields) {
      if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value !== '' && parameter.in === 'header') headers[parameter.name] = value;
      else if (value !== '') query.set(parameter.name, value);
    }
    if (query.toString()) target += '?' + query;
    if (body) headers['content-type'] = 'application/json';
    if (auth && auth.checked && token()) headers.authorization = 'Bearer ' + token();
    send.disabled = true;
    stop.hidden = !streams;
    const started = performance.now(), stopped = new AbortController();
    stop.onclick = () => stopped.abort();
    try {
      const answer = await fetch(target, { method: method.toUpperCase(), headers, body: body ? body.value : undefined, cache: 'no-store', signal: stopped.signal });
      const took = () => performance.now() - started;
      if (streams && answer.ok) await follow(result, head(method, target, answer, took()), answer.body, stopped.signal);
      else result.replaceChildren(...show(method, target, answer, await answer.text(), took()));
    } catch (error) {
      const why = stopped.signal.aborted ? 'Stopped before there was an answer.' : `There was no answer: ${error.message}`;
      result.replaceChildren(el('p', { className: 'trouble' }, why));
    } finally {
      // The focus must not vanish with the button.
      if (document.activeElement === stop) { send.disabled = false; send.focus(); }
      send.disabled = false;
      stop.hidden = true;
    }
  });
  return form;
}
function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}
function head(method, target, answer, took) {
  const headers = SHOWN_HEADERS.filter(name => answer.headers.has(name));
  return [
    el('p', { className: 'line' }, el('span', { className: 's' + String(answer.status)[0] }, `${answer.status} ${answer.statusText}`),
      el('span', { className: 'soft small' }, ` in ${Math.round(took)} ms · ${method.toUpperCase()} ${target}`)),
    el('dl', {}, headers.flatMap(name => [el('dt', {}, name), el('dd', {}, answer.headers.get(name))])),
  ];
}
function show(method, target, answer, said, took) {
  const value = parsed(said);
  const text = value === undefined ? said : pretty(value);
  const fresh = answer.ok && value && value.token && value.token.access_token;
  const [line, headers] = head(method, target, answer, took);
  return [
    line,
    fresh ? offer(fresh) : '',
    headers,
    text ? el('pre', { tabIndex: 0, ariaLabel: 'Body of the response' }, text.length > LONGEST ? text.slice(0, LONGEST) + '\n… (the rest is not shown)' : text) : el('p', { className: 'soft small' }, 'No body.'),
  ].filter(Boolean);
}
/* Shows the events of a stream as they come, the newest first, until it ends. */
async function follow(result, head, body, stopped) {
  const state = el('p', { className: 'small', ariaLive: 'off' }), events = el('div', { className: 'events', role: 'log', ariaLabel: 'Events' });
  let count = 0, end = 'The server ended the stream.';
  const say = last => state.replaceChildren(`${last} ${count} ${count === 1 ? 'event' : 'events'} so far${count > EVENTS_KEPT ? `, the last ${EVENTS_KEPT} below` : ''}.`);
  result.replaceChildren(...head, state, events);
  say('The stream is open.');
  try {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = block.split('\n').map(line => line.split(/: ?(.*)/s));
        const { id, event, data } = Object.fromEntries(fields);
        if (data === undefined) continue;
        count += 1;
        const json = parsed(data);
        events.prepend(el('div', {}, el('p', { className: 'small' }, el('code', {}, event || 'message'), id ? ` id ${id}` : '', el('span', { className: 'soft' }, ` at ${new Date().toLocaleTimeString()}`)),
          el('pre', {}, json === undefined ? data : pretty(json))));
        if (count > EVENTS_KEPT) events.lastElementChild.remove();
      }
      say(`The stream is open; the last sign of life came at ${new Date().toLocaleTimeString()}.`);
    }
  } catch (error) {
    end = stopped.aborted ? 'The stream was stopped here.' : `The stream broke off: ${error.message}.`;
  }
  state.ariaLive = 'polite';
  say(end);
}
function offer(fresh) {
  const use = el('button', { type: 'button' }, 'Use it');
  const row = el('div', { className: 'offer row small' }, el('span', {}, 'This answer holds an access token.'), use);
  use.addEventListener('click', () => {
    keepToken(fresh);
    row.replaceChildren(el('span', {}, 'In use: requests from this page are signed with it.'));
  });
  return row;
}
