// The remote builder: a definition, its log, what came of it.
import { ask, ask_maybe, button, card, command, field, form, h, notice, path, say, size, t, table, time, Failure } from './page.js';

const states = { queued: 'queued', running: 'running', succeeded: 'succeeded', failed: 'build_failed', cancelled: 'cancelled' };
const state_text = (build) => h('span', { class: build.state === 'succeeded' ? 'good' : build.state === 'failed' ? 'bad' : '' }, t(states[build.state] ?? build.state));
export const builds_table = (builds) => table(t('past_builds'), [t('submitted'), t('state'), t('image'), t('by')], builds.map((b) => [
  h('a', { href: path('build', b.id) }, time(b.submitTime)), state_text(b), b.libraryRef || '–', b.createdBy || '–']));

const example = 'Bootstrap: docker\nFrom: godlovedc/lolcow\n';

// Definition files are UTF-8; btoa knows bytes only.
function base64(text) {
  let out = '';
  for (const byte of new TextEncoder().encode(text)) out += String.fromCharCode(byte);
  return btoa(out);
}

export async function start({ session }) {
  const builds = await ask_maybe('/api/builds');
  if (!builds) return { title: t('builder'), content: [h('h1', {}, t('builder')), notice(t('build_none'))] };
  let given = '';
  try {
    given = sessionStorage.getItem('definition') ?? '';
    sessionStorage.removeItem('definition');
  } catch { /* the example stands */ }
  const text = h('textarea', { name: 'definition', required: true, spellcheck: 'false', autocapitalize: 'none', autocomplete: 'off' });
  text.value = given || example;
  const file = h('input', { type: 'file', onchange: async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    if (chosen.size > 1 << 20) say(t('too_large'));
    else text.value = await chosen.text();
  } });
  const make = form({}, async (values) => {
    const definition = values.get('definition').replace(/\r\n/g, '\n');
    if (new TextEncoder().encode(definition).length > 1 << 20) throw new Failure(413, t('too_large'));
    const build = await ask('POST', '/v1/build', { definitionRaw: base64(definition), libraryRef: values.get('ref').trim() });
    location.assign(path('build', build.id));
  },
  field(t('definition'), text), field(t('load_file'), file),
  field(t('build_ref', `library://${session.user}/default/lolcow:v1`), h('input', { name: 'ref', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' })),
  h('div', {}, h('button', { class: 'main' }, t('build'))));
  return { title: t('builder'), content: [h('h1', {}, t('builder')), h('p', { class: 'lead' }, t('build_lead')), card(t('build_new'), make), card(t('past_builds'), builds_table(builds))] };
}

export async function watch({ parts: [id] }) {
  const log = h('pre', { class: 'log', tabindex: '0', role: 'log', 'aria-label': t('log') }), state = h('div', { 'aria-live': 'polite' }), actions = h('div', { class: 'actions' });
  const address = path('api', 'builds', id);
  let done = false;
  async function refresh() {
    const build = await ask('GET', address);
    done = !['queued', 'running'].includes(build.state);
    state.replaceChildren(h('dl', {}, h('dt', {}, t('state')), h('dd', {}, state_text(build)), h('dt', {}, t('submitted')), h('dd', {}, time(build.submitTime)),
      build.state === 'failed' && [h('dt', {}, t('reason')), h('dd', {}, build.message)],
      h('dt', {}, t('image')), h('dd', {}, build.libraryRef || '–'), build.imageSize > 0 && [h('dt', {}, t('size')), h('dd', {}, size(build.imageSize)), h('dt', {}, t('digest')), h('dd', {}, build.imageChecksum)]),
      build.state === 'succeeded' && build.libraryRef ? command(`singularity pull ${build.libraryRef}`) : '');
    actions.replaceChildren(...[
      h('a', { class: 'button', href: path('api', 'builds', id, 'log'), download: `build-${id}.log` }, t('download_log')),
      build.state === 'succeeded' && build.imageSize > 0 && h('a', { class: 'button', href: path('api', 'builds', id, 'image'), download: `build-${id}.sif` }, t('download_sif')),
      !done && button(t('cancel'), async () => {
        try { await ask('PUT', path('v1', 'build', id, '_cancel')); } catch (e) { say(e.message); }
      })].filter(Boolean));
    return build;
  }
  // Words of the log come faster than its state changes.
  let asked = 0;
  const news = () => {
    if (Date.now() - asked < 1000) return;
    asked = Date.now();
    refresh().catch(() => {});
  };
  const build = await refresh();
  follow(id, log, news, refresh, () => done);
  return { title: t('build_one', id), content: [h('h1', {}, t('build_one', id)), card('', state, actions), card(t('log'), log),
    build.definition && card(t('definition'), h('pre', { tabindex: '0' }, build.definition), h('div', { class: 'actions' }, again(build.definition)))] };
}

// A button that takes the definition to the builder's page.
export const again = (definition) => button(t('build_again'), () => {
  try { sessionStorage.setItem('definition', definition); } catch { /* the page opens with its example */ }
  location.assign('/build');
});

// The log from its start; when the connection breaks before the end, it is opened and read again. Of a very long one the end
// is shown; the file has all of it.
const most_pieces = 500;
function follow(id, log, news, refresh, done) {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path('v1', 'build-ws', id)}`);
  let first = true;
  socket.onmessage = (event) => {
    if (typeof event.data !== 'string') return;
    const at_end = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    if (first) log.replaceChildren();
    first = false;
    log.append(event.data);
    if (log.childNodes.length > most_pieces) log.firstChild.remove();
    if (at_end) log.scrollTop = log.scrollHeight;
    news();
  };
  socket.onclose = async (event) => {
    try { await refresh(); } catch { /* tried again below */ }
    if (event.code === 1000 || done()) return;
    say(t('log_lost'));
    setTimeout(() => follow(id, log, news, refresh, done), 3000);
  };
}
