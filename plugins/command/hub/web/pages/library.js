// Home, search, projects, images, keys: what everybody may look at.
import { again } from './builder.js';
import { ask, ask_maybe, ask_text, card, command, field, form, h, notice, path, say, size, t, table, time } from './page.js';

// How clients get to know this hub.
export const remote_add = () => `singularity remote add ${location.protocol === 'https:' ? '' : '--insecure '}site ${location.host}`;
const reference = (c) => `library://${c.entityName}/${c.collectionName}/${c.name}`;

const search_form = (value = '', action = '/search', label = t('search_images')) => h('form', { class: 'row', role: 'search', action },
  field(label, h('input', { type: 'search', name: 'q', required: true, minlength: '3', maxlength: '200', value })), h('button', { class: 'main' }, t('search')));

const signature = (image) => image.signed ? h('span', { class: 'good' }, '✓ ' + t('signed')) : h('span', { class: 'soft' }, t('unsigned'));

function container_item(c, images = []) {
  const tags = [...new Set(Object.values(c.archTags ?? {}).flatMap((x) => Object.keys(x)))];
  const newest = images[0];
  return h('li', {}, h('a', { class: 'name', href: path('library', c.entityName, c.collectionName, c.name) }, `${c.entityName}/${c.collectionName}/${c.name}`), ' ',
    c.private && h('span', { class: 'tag' }, t('private')), c.description && h('div', {}, c.description),
    h('div', { class: 'tags' }, tags.slice(0, 12).map((x) => h('span', { class: 'tag' }, x)), Object.keys(c.archTags ?? {}).map((x) => h('span', { class: 'tag' }, x))), ' ',
    newest && h('span', { class: 'soft' }, size(newest.size), ' · ', signature(newest), ' · ', time(newest.createdAt)));
}
const container_list = (all) => all.length ? h('ul', { class: 'list' }, all.map((x) => container_item(x.container, x.images))) : h('p', { class: 'soft' }, t('none'));

export async function home({ session }) {
  const latest = await ask('GET', '/api/images') ?? [];
  const me = session?.user ?? 'USER';
  return {
      title: t('home'),
      content: [
          h('h1', {}, t('welcome')), h('p', {class: 'lead'}, t('welcome_lead')), card('', search_form()),
          h('div', {class: 'columns'}, card(t('latest'), container_list(latest.slice(0, 10))),
            card(
                t('get_started'), h('p', {}, t('step_remote')), command(remote_add()),
                command('singularity remote use site'), h('p', {}, t('step_push')),
                command('singularity sign lolcow.sif'),
                command(`singularity push lolcow.sif library://${me}/default/lolcow:v1,latest`),
                h('p', {}, t('step_pull')), command(`singularity pull library://${me}/default/lolcow`),
                h('p', {}, t('step_build')),
                command('singularity build --remote lolcow.sif docker://godlovedc/lolcow')))
      ]
  };
}

export async function search() {
  const query = (new URLSearchParams(location.search).get('q') ?? '').trim();
  const head = [h('h1', {}, t('search')), card('', search_form(query))];
  if ([...query].length < 3) return { title: t('search'), content: [...head, query && notice(t('search_short'))] };
  const found = await ask('GET', '/api/search?value=' + encodeURIComponent(query));
  const containers = found?.container ?? [];
  return { title: `${query} · ${t('search')}`, content: [...head, h('p', { role: 'status' }, t('found', containers.length, query)),
    card('', container_list(containers.map((container) => ({ container, images: (found.image ?? []).filter((i) => i.container === container.id) }))))] };
}

// Of everybody, or of one user or group.
export async function projects({ session, parts: [entity] }) {
  const list = h('div', {});
  async function refresh() {
    const mine = await ask('GET', '/api/projects') ?? [];
    list.replaceChildren(table(t('projects'), [t('name'), t('description'), t('images')], mine.map((p) => [
      h('span', {}, h('a', { href: path('library', p.entity, p.name) }, p.name), p.private ? ' ' : '', h('span', { class: p.private ? 'tag' : 'hidden' }, t(p.private ? 'private' : 'public'))),
      p.description || '–', String(p.containers)])));
  }
  const own = session && (!entity || entity === session.user);
  const [images] = await Promise.all([ask('GET', '/api/images' + (entity ? '?entity=' + encodeURIComponent(entity) : '')), own && refresh()]);
  const make = form({}, async (values, sent) => {
    await ask('POST', '/api/projects', { name: values.get('name'), description: values.get('description'), private: values.has('private') });
    sent.reset();
    await refresh();
    say(t('created_project'));
  },
  field(t('project_name'), h('input', { name: 'name', required: true, maxlength: '64', pattern: '[a-z0-9]+([._\\-][a-z0-9]+)*', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' })),
  field(t('description'), h('input', { name: 'description', maxlength: '1000', autocomplete: 'off' })),
  h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'private' }), `${t('private')}: ${t('private_why')}`),
  h('div', {}, h('button', { class: 'main' }, t('create'))));
  return { title: entity ?? t('library'), content: [h('h1', {}, entity ?? t('library')), !entity && card('', search_form()),
    own && h('div', { class: 'columns' }, card(t('projects'), list), card(t('new_project'), make)), card(t('images'), container_list(images ?? []))] };
}

export async function project({ parts: [entity, name] }) {
  const [about, images] = await Promise.all([ask('GET', path('v1', 'collections', entity, name)), ask('GET', `/api/images?entity=${encodeURIComponent(entity)}&collection=${encodeURIComponent(name)}`)]);
  return { title: `${entity}/${name}`, content: [h('h1', {}, h('a', { href: path('library', entity) }, entity), ` / ${name}`), h('p', { class: 'lead' }, about.description, ' ', about.private && h('span', { class: 'tag' }, t('private'))),
    card(t('images'), container_list(images ?? [])), card(t('step_push'), command(`singularity push image.sif library://${entity}/${name}/image:latest`))] };
}

export async function container({ parts: [entity, collection, name] }) {
  const c = await ask('GET', path('v1', 'containers', entity, collection, name));
  const tagged = new Map();  // image id -> its architecture and tags
  for (const [arch, tags] of Object.entries(c.archTags ?? {}))
    for (const [tag, id] of Object.entries(tags)) {
      const entry = tagged.get(id) ?? { arch, tags: [] };
      entry.tags.push(tag);
      tagged.set(id, entry);
    }
  const found = await Promise.all([...tagged.values()].slice(0, 100).map(async (x) => ({ ...x, image: await ask_maybe(image_path(c, x)) })));
  const images = found.filter((x) => x.image).sort((a, b) => (a.image.createdAt < b.image.createdAt ? 1 : -1));
  const newest = images.find((x) => x.tags.includes('latest')) ?? images[0];
  const definition = newest && (await ask_maybe(`${path('api', 'definition', entity, collection, `${name}:${newest.tags[0]}`)}?arch=${encodeURIComponent(newest.arch)}`))?.definition;
  const tag = newest?.tags.includes('latest') ? '' : newest ? ':' + newest.tags[0] : '';
  return {
      title: `${entity}/${collection}/${name}`,
      content: [
          h('h1', {}, h('a', {href: path('library', entity)}, entity), ' / ',
            h('a', {href: path('library', entity, collection)}, collection), ` / ${name}`),
          h('p', {class: 'lead'}, c.description, ' ', c.private && h('span', {class: 'tag'}, t('private')),
            (c.description || c.private) && h('br', {}), `${t('downloads')}: ${c.downloadCount ?? 0}`),
          newest &&
              card(
                  t('use_it'), command(`singularity pull ${reference(c)}${tag}`),
                  command(`singularity run ${reference(c)}${tag}`),
                  newest.image.signed &&
                      command(`singularity verify ${name}_${
                          newest.tags.includes('latest') ? 'latest' : newest.tags[0]}.sif`)),
          card(
              t('tags'),
              table(
                  t('tags'), [t('tag'), t('arch'), t('size'), t('signature'), t('created'), t('digest')],
                  images.map(
                      ({image, arch, tags}) =>
                          [h('span', {class: 'tags'}, tags.map((x) => h('span', {class: 'tag'}, x))), arch,
                           size(image.size),
                           h('span', {}, signature(image), image.encrypted && ` · ${t('encrypted')}`,
                             (image.fingerprints ?? [])
                                 .map(
                                     (f) =>
                                         h('div', {},
                                           h('a', {href: '/keys?q=' + encodeURIComponent('0x' + f)},
                                             f.slice(0, 16) + '…')))),
                           time(image.createdAt), h('code', {title: image.hash}, image.hash.slice(7, 19))]))),
          newest &&
              card(
                  t('definition'),
                  definition ?
                      [
                          h('pre', {tabindex: '0', 'aria-label': t('definition')}, definition),
                          h('div', {class: 'actions'}, again(definition))
                      ] :
                      h('p', {class: 'soft'}, t('no_definition')))
      ]
  };
}
const image_path = (c, x) => `${path('v1', 'images', c.entityName, c.collectionName, `${c.name}:${x.tags[0]}`)}?arch=${encodeURIComponent(x.arch)}`;

const algorithms = { 1: 'RSA', 17: 'DSA', 18: 'ECDH', 19: 'ECDSA', 22: 'EdDSA' };

// The lines of a machine-readable index (HKP draft, section 5.2).
function parse_index(text) {
  const keys = [];
  for (const line of text.split('\n')) {
    const parts = line.trim().split(':');
    if (parts[0] === 'pub') keys.push({ fingerprint: parts[1], algorithm: `${algorithms[parts[2]] ?? parts[2]} ${parts[3] ?? ''}`, created: Number(parts[4]), expires: Number(parts[5]), flags: parts[6] ?? '', users: [] });
    if (parts[0] === 'uid' && keys.length) {
      let name = parts[1] ?? '';
      try { name = decodeURIComponent(name); } catch { /* as it is */ }
      keys[keys.length - 1].users.push(name);
    }
  }
  return keys;
}

export async function keys() {
  const query = (new URLSearchParams(location.search).get('q') ?? '').trim();
  const head = [h('h1', {}, t('keystore')), h('p', { class: 'lead' }, t('key_lead')), command('singularity verify image.sif'), card('', search_form(query, '/keys', t('key_search')))];
  if ([...query].length < 3) return { title: t('keystore'), content: [...head, query && notice(t('search_short'))] };
  const found = parse_index(await ask_text(`/pks/lookup?op=index&options=mr&fingerprint=on&x-pagesize=256&search=${encodeURIComponent(query)}`));
  return { title: `${query} · ${t('keystore')}`, content: [...head, h('p', { role: 'status' }, t('keys_found', found.length, query)),
    card('', table(t('keystore'), [t('users'), t('fingerprint'), t('algorithm'), t('created'), t('expires'), t('state'), t('actions')], found.map((k) => [
      k.users.map((u) => h('div', {}, u)), h('code', {}, k.fingerprint), k.algorithm, time(k.created), k.expires ? time(k.expires) : t('never'),
      h('span', { class: /[re]/.test(k.flags) ? 'bad' : 'good' }, k.flags.includes('r') ? t('revoked') : k.flags.includes('e') ? t('expired') : t('valid')),
      h('a', { href: `/pks/lookup?op=get&exact=on&search=0x${encodeURIComponent(k.fingerprint)}`, download: `${k.fingerprint}.asc`, 'aria-label': `${t('download_key')} ${k.fingerprint}` }, t('download_key'))])))] };
}
