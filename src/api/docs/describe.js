'use strict';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const SHOWN_HEADERS = ['content-type', 'x-request-id', 'traceresponse', 'etag', 'location', 'allow', 'retry-after', 'www-authenticate'];
const TOKEN = 'callboard.access_token';
const LONGEST = 100000, EVENTS_KEPT = 100;
const $ = id => document.getElementById(id);
let api;

/* Elements are only ever made here, from text nodes: nothing that the server says becomes markup. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === false) continue;
    if (name in made) made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter(child => child !== undefined && child !== null && child !== ''));
  return made;
}
const words = text => String(text).split('`').map((part, at) => at % 2 ? el('code', {}, part) : part);
const prose = text => String(text || '').split(/\n\n+/).filter(Boolean).map(part => el('p', {}, words(part)));
const slashes = path => path.split(/(?=\/)/).flatMap(part => [document.createElement('wbr'), part]);

/* ---- Schemas ---- */
function resolve(node) {
  if (!node || !node.$ref) return node || {};
  const { $ref, ...beside } = node;
  const found = $ref.slice(2).split('/').reduce((at, key) => at && at[key.replace(/~1/g, '/').replace(/~0/g, '~')], api);
  return { name: $ref.split('/').pop(), ...resolve(found), ...beside };
}
function variant(schema) {
  const choices = schema.oneOf || schema.anyOf;
  return choices ? { ...resolve(choices.find(choice => choice.type !== 'null')), nullable: choices.some(choice => choice.type === 'null') } : schema;
}
function kind(node) {
  const schema = variant(resolve(node));
  const types = [].concat(schema.type || (schema.properties ? 'object' : []));
  const named = types.filter(type => type !== 'null').map(type => type === 'array' ? 'list of ' + kind(schema.items) : type === 'object' && schema.name || type);
  const format = schema.format && !/^int/.test(schema.format) ? ', ' + schema.format : '';
  return (named.join(' or ') || 'anything') + format + (schema.nullable || types.includes('null') ? ' or null' : '');
}
function limits(schema) {
  const { minLength: least, maxLength: most, minimum: min, maximum: max } = schema;
  const all = [], count = number => number.toLocaleString('en');
  if (least !== undefined && most !== undefined) all.push(`${count(least)} to ${count(most)} characters`);
  else if (most !== undefined) all.push(`at most ${count(most)} characters`);
  else if (least !== undefined) all.push(`at least ${count(least)} characters`);
  if (min !== undefined && max !== undefined) all.push(`${count(min)} to ${count(max)}`);
  if (schema.default !== undefined) all.push(`${schema.default} unless said otherwise`);
  if (schema.enum) all.push('one of ' + schema.enum.join(', '));
  return all.length ? ' ' + all.join('; ').replace(/^./, first => first.toUpperCase()) + '.' : '';
}
function example(node, depth = 0) {
  const schema = variant(resolve(node));
  const given = schema.example !== undefined ? schema.example : (schema.examples || [])[0];
  if (given !== undefined) return given;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const type = [].concat(schema.type || 'object').find(type => type !== 'null');
  if (type === 'array') return depth > 5 ? [] : [example(schema.items, depth + 1)];
  if (type === 'object') return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, field]) => [name, example(field, depth + 1)]));
  if (type === 'integer' || type === 'number') return Math.max(1, schema.minimum || 0);
  if (type === 'boolean') return false;
  return schema.format === 'date-time' ? '2026-01-31T12:00:00Z' : '';
}
function fieldsOf(node, prefix = '', depth = 0) {
  const schema = variant(resolve(node));
  if (schema.items) return fieldsOf(schema.items, prefix + '[]', depth + 1);
  return Object.entries(schema.properties || {}).flatMap(([name, field]) => {
    const path = prefix ? prefix + '.' + name : name;
    const inner = depth > 5 ? [] : fieldsOf(field, path, depth + 1);
    return [{ name: path, schema: variant(resolve(field)), needed: (schema.required || []).includes(name), type: kind(field) }, ...inner];
  });
}
function table(fields, request) {
  return el('dl', { className: 'fields' }, fields.map(field => el('div', {},
    el('dt', {}, el('span', { className: 'mono' }, field.name), el('span', { className: 'soft' }, field.type),
      request && field.needed ? el('span', { className: 'need' }, ', required') : '', !request && !field.needed ? el('span', { className: 'soft' }, ', not always there') : ''),
    el('dd', {}, words((field.description || field.schema.description || '') + limits(field.schema))))));
}
const pretty = value => JSON.stringify(value, null, 2);

/* ---- Responses, as described ---- */
function response(status, node) {
  const described = resolve(node);
  const [type, content] = Object.entries(described.content || {})[0] || [];
  const head = [el('span', { className: 'code s' + status[0] }, status), el('span', {}, words(described.description || ''))];
  const headers = Object.entries(described.headers || {}).map(([name, header]) => [name, resolve(header)]);
  const json = type === 'application/json' && (content.example !== undefined || content.examples || resolve(content.schema).properties || resolve(content.schema).oneOf);
  if (!json && !headers.length) return el('div', { className: 'resp bare' }, head);
  const more = el('div', { className: 'more' });
  if (headers.length) more.append(table(headers.map(([name, header]) => ({ name, schema: header.schema || {}, needed: true, type: (header.schema && header.schema.examples || [])[0] || '', description: header.description }))));
  if (json) {
    const examples = Object.entries(content.examples || {});
    for (const [name, one] of examples) more.append(el('p', {}, el('code', {}, name)), el('pre', {}, pretty(one.value)));
    if (!examples.length) more.append(el('pre', {}, pretty(content.example !== undefined ? content.example : example(content.schema))), table(fieldsOf(content.schema)));
  }
  return el('details', { className: 'resp' }, el('summary', {}, head), more);
}
