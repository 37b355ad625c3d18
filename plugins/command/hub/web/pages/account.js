// Login, tokens and administration.
import { ask, ask_maybe, card, command, field, form, h, notice, path, say, size, t, table, time } from './page.js';
import { remote_add } from './library.js';
import { builds_table } from './builder.js';

// Only a page of this hub may be where a login ends.
function inside(next) {
  try {
    const url = new URL(next ?? '/', location.origin);
    return url.origin === location.origin ? url.pathname + url.search : '/';
  } catch { return '/'; }
}

export function login_form(next) {
  return card('', form({}, async (values) => {
    await ask('POST', '/api/session', { user: values.get('user'), password: values.get('password') });
    const to = inside(next);
    if (to === location.pathname + location.search) location.reload();
    else location.assign(to);
  },
  field(t('user'), h('input', { name: 'user', required: true, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' })),
  field(t('password'), h('input', { name: 'password', type: 'password', required: true, autocomplete: 'current-password' })),
  h('div', {}, h('button', { class: 'main' }, t('login')))));
}

export function login({ session }) {
  const next = new URLSearchParams(location.search).get('next');
  if (session) location.replace(inside(next));
  return { title: t('login'), content: [h('h1', {}, t('login')), login_form(next)] };
}

export async function tokens() {
  const shown = h('div', { 'aria-live': 'polite' }), list = h('div', {});
  const scopes = { read: t('scope_read'), write: t('scope_write'), build: t('scope_build') };
  async function refresh() {
    const all = await ask('GET', '/api/tokens') ?? [];
    list.replaceChildren(table(t('my_tokens'), [t('token_name'), t('scopes'), t('created'), t('expires'), t('actions')], all.map((token) => [
      token.name, token.scopes.split(',').map((s) => scopes[s] ?? s).join(' · '), time(token.created),
      token.expires * 1000 < Date.now() ? h('span', { class: 'bad' }, t('expired')) : time(token.expires),
      h('button', { type: 'button', class: 'small', 'aria-label': t('revoke_what', token.name), onclick: async () => {
        if (!confirm(t('sure_revoke', token.name))) return;
        try {
          await ask('DELETE', path('api', 'tokens', token.id));
          await refresh();
          say(t('revoked_token'));
        } catch (e) { say(e.message); }
      } }, t('revoke')),
    ])));
  }
  await refresh();
  const make = form({}, async (values, sent) => {
    const made = await ask('POST', '/api/tokens', { name: values.get('name'), scopes: values.getAll('scope').join(','), days: Number(values.get('days')) });
    shown.replaceChildren(card(values.get('name'), notice(t('token_once')), command(made.token), h('p', {}, t('token_use')), command(remote_add()), h('p', {}, t('token_again')), command('singularity remote login site')));
    sent.reset();
    await refresh();
  },
  field(t('token_name'), h('input', { name: 'name', required: true, maxlength: '100', autocomplete: 'off' })),
  field(t('token_days'), h('select', { name: 'days' }, [30, 7, 1, 90, 365].map((n) => h('option', { value: n }, t('days', n))))),
  h('fieldset', {}, h('legend', {}, t('scopes')), Object.entries(scopes).map(([value, text]) => h('label', {}, h('input', { type: 'checkbox', name: 'scope', value, checked: true }), text))),
  h('div', {}, h('button', { class: 'main' }, t('create'))));
  return { title: t('tokens'), content: [h('h1', {}, t('tokens')), shown, card(t('new_token'), make), card(t('my_tokens'), list)] };
}

export async function admin() {
  const list = h('div', {});
  async function refresh() {
    const all = await ask('GET', '/api/users') ?? [];
    list.replaceChildren(table(t('users'), [t('name'), t('role'), t('state'), t('quota'), t('created'), t('actions')], all.map((user) => [
      h('a', { href: path('library', user.name) }, user.name), user.admin ? t('administrator') : t('ordinary'),
      h('span', { class: user.disabled ? 'bad' : 'good' }, user.disabled ? t('disabled') : t('active')), user.quota ? size(user.quota) : t('unlimited'), time(user.created),
      h('button', { type: 'button', class: 'small', 'aria-label': t(user.disabled ? 'enable_what' : 'disable_what', user.name), onclick: async () => {
        try {
          await ask('POST', path('api', 'users', user.name, user.disabled ? 'enable' : 'disable'));
          await refresh();
        } catch (e) { say(e.message); }
      } }, user.disabled ? t('enable') : t('disable')),
    ])));
  }
  const [storage, builds] = await Promise.all([ask_maybe('/api/admin'), ask_maybe('/api/builds?all=1'), refresh()]);
  const add = form({}, async (values, sent) => {
    await ask('POST', '/api/users', { name: values.get('name'), password: values.get('password') });
    sent.reset();
    await refresh();
    say(t('added_user'));
  },
  field(t('user'), h('input', { name: 'name', required: true, maxlength: '64', pattern: '[a-z0-9]+([._\\-][a-z0-9]+)*', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' })),
  field(t('password'), h('input', { name: 'password', type: 'password', required: true, minlength: '8', autocomplete: 'new-password' })),
  h('div', {}, h('button', { class: 'main' }, t('create'))));
  return { title: t('admin'), content: [
    h('h1', {}, t('admin')), card(t('users'), list), h('div', { class: 'columns' }, card(t('add_user'), add),
      card(t('storage'), storage ? h('dl', {}, storage_rows(storage).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])) : h('p', { class: 'soft' }, t('none')))),
    card(t('queue'), builds ? builds_table(builds) : h('p', { class: 'soft' }, t('build_none')))] };
}

const storage_rows = ({ storage, users, uploads }) => [[t('stored'), size(storage.bytes)], [t('free'), size(storage.free)], [t('blobs'), String(storage.blobs)], [t('uploads'), String(uploads)], [t('users'), String(users)]];
