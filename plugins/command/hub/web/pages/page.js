// What every page stands on: elements, texts, requests. Text from outside enters the page only as text nodes.
import { texts } from './texts.js';

const saved = () => { try { return localStorage.getItem('language'); } catch { return null; } };
export const language = saved() === 'zh' || saved() === 'en' ? saved() : navigator.language.startsWith('zh') ? 'zh' : 'en';
export const other_language = language === 'zh' ? 'en' : 'zh';
export function use_language(name) {
  try { localStorage.setItem('language', name); } catch { /* it holds for this page only */ }
  location.reload();
}

// The text of that key, with {0}, {1} … filled in.
export function t(key, ...values) {
  const pair = texts[key];
  if (!pair) return key;
  return pair[language === 'zh' ? 1 : 0].replace(/\{(\d)\}/g, (_, i) => String(values[i] ?? ''));
}

// An element. Attributes: 'on…' functions listen, true is an attribute without value, false and undefined are left out.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return element;
}

// A path of the hub from parts that are only names.
export const path = (...parts) => '/' + parts.map(encodeURIComponent).join('/');

export class Failure extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

let csrf = '';
export function remember(session) { csrf = session?.csrf ?? ''; }

// The member 'data' of the answer; undefined when it is empty. Throws Failure.
export async function ask(method, url, body) {
  let answer;
  try {
    answer = await fetch(url, {
      method, credentials: 'same-origin', redirect: 'error',
      headers: { ...(csrf && { 'X-CSRF-Token': csrf }), ...(body !== undefined && { 'Content-Type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch { throw new Failure(0, t('unreachable')); }
  const text = await answer.text();
  let json;
  try { json = JSON.parse(text); } catch { json = undefined; }
  if (!answer.ok) throw new Failure(answer.status, json?.error?.message || t('failed', answer.status));
  return json?.data;
}

// The same, but null instead of a failure 404.
export async function ask_maybe(url) {
  try { return await ask('GET', url); } catch (e) { if (e.status === 404) return null; throw e; }
}

export async function ask_text(url) {
  const answer = await fetch(url, { credentials: 'same-origin' }).catch(() => { throw new Failure(0, t('unreachable')); });
  if (answer.status === 404) return '';
  const text = await answer.text();
  if (!answer.ok) {
    let message;
    try { message = JSON.parse(text).error.message; } catch { message = t('failed', answer.status); }
    throw new Failure(answer.status, message);
  }
  return text;
}

export function say(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { status.textContent = ''; }, 4000);
}

export const size = (bytes) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let n = Number(bytes) || 0, i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; ++i; }
  return `${i ? n.toFixed(1) : n} ${units[i]}`;
};

// `when` is RFC 3339 or Unix seconds.
export function time(when) {
  if (!when) return '–';
  const date = new Date(typeof when === 'number' ? when * 1000 : when);
  if (Number.isNaN(date.getTime())) return '–';
  return h('time', { datetime: date.toISOString() }, date.toLocaleString(language === 'zh' ? 'zh-CN' : 'en-GB', { dateStyle: 'medium', timeStyle: 'short' }));
}

export const notice = (text, kind = '') => h('p', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : 'note' }, text);
export const card = (title, ...children) => h('section', { class: 'card' }, title && h('h2', {}, title), children.flat(Infinity));
export const field = (text, input) => h('label', {}, text, input);
export const button = (text, action, kind = '') => h('button', { type: 'button', class: kind, onclick: action }, text);

// A command with a button that copies it.
export function command(text) {
  return h('div', { class: 'copy' }, h('code', {}, text), h('button', {
    type: 'button', class: 'small', 'aria-label': t('copy_what', text),
    onclick: async () => {
      try { await navigator.clipboard.writeText(text); say(t('copied')); } catch { say(t('not_copied')); }
    },
  }, t('copy')));
}

// Rows are arrays of cells; the first cell of each is its heading.
export function table(caption, heads, rows) {
  if (!rows.length) return h('p', { class: 'soft' }, t('none'));
  // On a phone each row is a list of its own, with the heads before what they name; the roles stay those of a table.
  return h(
      'div', {class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0'},
      h('table', {role: 'table'}, h('caption', {class: 'hidden'}, caption),
        h('thead', {role: 'rowgroup'},
          h('tr', {role: 'row'}, heads.map((x) => h('th', {scope: 'col', role: 'columnheader'}, x)))),
        h('tbody', {role: 'rowgroup'},
          rows.map(
              (cells) =>
                  h('tr', {role: 'row'},
                    cells.map(
                        (c, i) =>
                            h(i ? 'td' : 'th',
                              i ? {role: 'cell', 'data-head': heads[i]} : {scope: 'row', role: 'rowheader'}, c)))))));
}

// A form that shows its own failure and cannot be sent twice at once. `send` gets the values by name.
export function form(attributes, send, ...children) {
  const failure = h('div', {});
  return h('form', {
    ...attributes,
    onsubmit: async (event) => {
      event.preventDefault();
      const sent = event.currentTarget, buttons = [...sent.querySelectorAll('button')];
      if (buttons.some((b) => b.disabled)) return;
      failure.replaceChildren();
      for (const b of buttons) b.disabled = true;
      try { await send(new FormData(sent), sent); } catch (e) { failure.replaceChildren(notice(e.message, 'bad')); }
      for (const b of buttons) b.disabled = false;
    },
  }, children, failure);
}
