// The frame of every page, and which page an address is.
import { ask, h, language, notice, other_language, path, remember, t, use_language } from './page.js';
import * as account from './account.js';
import * as builder from './builder.js';
import * as library from './library.js';

// Pages get { main, session, parts } and return their title.
const pages = [
  [/^\/$/, library.home], [/^\/search$/, library.search], [/^\/library$/, library.projects], [/^\/library\/([^/]+)$/, library.projects],
  [/^\/library\/([^/]+)\/([^/]+)$/, library.project], [/^\/library\/([^/]+)\/([^/]+)\/([^/]+)$/, library.container],
  [/^\/build$/, builder.start, 'user'], [/^\/build\/([0-9a-f]{24})$/, builder.watch, 'user'], [/^\/keys$/, library.keys],
  [/^\/login$/, account.login], [/^\/auth\/tokens$/, account.tokens, 'user'], [/^\/admin$/, account.admin, 'admin'],
];

function frame(session) {
  const here = location.pathname;
  const link = (key, href, root = href) => h('a', { href, 'aria-current': (root === '/' ? here === '/' : here.startsWith(root)) && 'page' }, t(key));
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.getElementById('skip').textContent = t('skip');
  document.getElementById('foot').textContent = t('foot');
  const nav = document.getElementById('nav');
  nav.setAttribute('aria-label', t('main_menu'));
  nav.replaceChildren(...[link('home', '/'), link('library', '/library'), link('builder', '/build'), link('keystore', '/keys'), link('tokens', '/auth/tokens', '/auth'), session?.admin && link('admin', '/admin')].filter(Boolean));
  document.getElementById('who').replaceChildren(...(session
    ? [h('a', { href: path('library', session.user) }, session.user), h('button', { type: 'button', class: 'small', onclick: async () => {
      await ask('DELETE', '/api/session').catch(() => {});
      location.assign('/');
    } }, t('logout'))]
    : [h('a', { class: 'button', href: '/login?next=' + encodeURIComponent(here + location.search) }, t('login'))]));
  const toggle = document.getElementById('language');
  toggle.textContent = t('other_language');
  toggle.lang = other_language === 'zh' ? 'zh-CN' : 'en';
  toggle.addEventListener('click', () => use_language(other_language));
}

async function start() {
  const main = document.getElementById('main');
  main.replaceChildren(h('p', { class: 'soft' }, t('loading')));
  let session = null;
  try {
    session = await ask('GET', '/api/session') ?? null;
    remember(session);
  } catch (e) { main.replaceChildren(notice(e.message, 'bad')); }
  frame(session);
  let title = t('not_found');
  const content = [];
  try {
    const found = pages.map(([pattern, page, who]) => ({ match: pattern.exec(location.pathname), page, who })).find((x) => x.match);
    if (!found) content.push(h('h1', {}, title));
    else if (found.who && !session) {
      title = t('login');
      content.push(h('h1', {}, title), notice(t('login_why')), account.login_form(location.pathname + location.search));
    } else if (found.who === 'admin' && !session.admin) {
      title = t('admin');
      content.push(h('h1', {}, title), notice(t('only_admin'), 'bad'));
    } else {
      const page = await found.page({ session, parts: found.match.slice(1).map(decodeURIComponent) });
      title = page.title;
      content.push(...page.content);
    }
  } catch (e) {
    content.splice(0, content.length, h('h1', {}, e.status === 404 ? t('not_found') : t('title')), notice(e.message, 'bad'));
  }
  document.title = `${title} · ${t('title')}`;
  main.replaceChildren(...content.flat().filter(Boolean));
  main.dataset.ready = 'yes';
}

start();
