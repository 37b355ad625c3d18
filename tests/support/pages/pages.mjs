// The pages of a real hub in a real browser: node pages.mjs ADDRESS [FOLDER FOR SCREENSHOTS]
// The hub has the users "boss" (an administrator) and "alice", both with the password in PASSWORD, and the image
// alice/default/cow:v1,latest whose description and definition are HTML.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { chromium } = createRequire(process.env.MODULES + '/')('playwright-core');
const [base, shots] = process.argv.slice(2);
const password = process.env.PASSWORD;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

const troubles = [];
// A page that records every message, failed script and foreign request.
async function open(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 4\d\d/.test(m.text())) troubles.push(`${page.url()}: ${m.text()}`); });
  page.on('pageerror', (e) => troubles.push(`${page.url()}: ${e.message}`));
  page.on('request', (r) => { if (!r.url().startsWith(base)) troubles.push(`${page.url()} asks ${r.url()}`); });
  return page;
}
async function go(page, path) {
  const answer = await page.goto(base + path);
  await page.waitForSelector('main[data-ready]');
  return answer;
}
async function login(page, user) {
  await go(page, '/login');
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(base + '/');
  await page.waitForSelector('main[data-ready]');
}
const only = new RegExp(process.env.ONLY ?? '');
async function test(name, work) {
  if (!only.test(name)) return;
  try {
    await work();
    assert.deepEqual(troubles, []);
    console.log(`ok ${name}`);
  } catch (e) {
    console.log(`FAILED ${name}: ${e.stack}`);
    process.exitCode = 1;
    troubles.length = 0;
  }
}

const english = { locale: 'en-GB', viewport: { width: 1200, height: 900 } };
const stranger = await browser.newContext(english), alice = await browser.newContext(english), boss = await browser.newContext(english);

await test('a stranger is asked to log in, and comes to the page that was asked for', async () => {
  const page = await open(alice);
  await go(page, '/auth/tokens');
  const main = page.getByRole('main');
  await main.getByLabel('User name').fill('alice');
  await main.getByLabel('Password').fill('not the password');
  await main.getByRole('button', { name: 'Log in' }).click();
  assert.match(await page.getByRole('alert').innerText(), /password is wrong/);
  await main.getByLabel('Password').fill(password);
  await main.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Access tokens', level: 1 }).waitFor();
  await page.close();
});

await test('a login ends on a page of this hub only', async () => {
  const page = await open(stranger);
  for (const next of ['https://example.org/', '//example.org/', 'javascript:alert(1)', '/\\example.org/']) {
    await go(page, '/login?next=' + encodeURIComponent(next));
    await page.getByLabel('User name').fill('alice');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('main').getByRole('button', { name: 'Log in' }).click();
    await page.waitForFunction(() => location.pathname !== '/login');
    assert.equal(new URL(page.url()).origin, base);
    await stranger.clearCookies();
  }
  await page.close();
});

await test('a token is shown once, works, and can be revoked', async () => {
  const page = await open(alice);
  await go(page, '/auth/tokens');
  await page.getByLabel('What is it for?').fill('<b>laptop</b>');
  await page.getByLabel('push and delete').uncheck();
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByText('shown only once').waitFor();
  const token = await page.locator('.copy code').first().innerText();
  const check = () => fetch(base + '/v1/token-status', { headers: { Authorization: `Bearer ${token}` } });
  const answer = await check();
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).data.scopes, 'read,build');
  await page.getByText(/^singularity remote add --insecure site 127\.0\.0\.1/).waitFor();
  await go(page, '/auth/tokens');
  assert.ok(!(await page.content()).includes(token));
  page.on('dialog', (d) => d.accept());
  await page.getByRole('button', { name: 'Revoke the token “<b>laptop</b>”' }).click();
  await page.getByText('has been revoked').waitFor();
  assert.equal((await check()).status, 401);
  await page.close();
});

await test('a project is created, and a private one is nobody else’s to see', async () => {
  const page = await open(alice);
  await go(page, '/library');
  await page.getByLabel(/^Name:/).fill('secret-plans');
  await page.getByLabel('Description').fill('<img src=x onerror="document.title=\'owned\'">');
  await page.getByLabel(/^Private/).check();
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: 'secret-plans' }).waitFor();
  await page.getByRole('link', { name: 'secret-plans' }).click();
  await page.waitForURL(base + '/library/alice/secret-plans');
  await page.getByText('<img src=x').waitFor();
  const other = await open(stranger);
  await go(other, '/library/alice/secret-plans');
  assert.match(await other.getByRole('heading', { level: 1 }).innerText(), /nothing at this address/);
  await Promise.all([page.close(), other.close()]);
});

await test('an image’s page shows its tags, architecture, size and definition, and no text becomes HTML', async () => {
  const page = await open(stranger);
  await go(page, '/library/alice/default/cow');
  const row = page.getByRole('row', { name: /latest/ });
  for (const text of ['v1', 'amd64', /[KM]iB/, 'Not signed']) await row.getByText(text, { exact: typeof text === 'string' }).waitFor();
  await page.getByText('singularity pull library://alice/default/cow', { exact: true }).waitFor();
  assert.match(await page.getByLabel('Definition file').innerText(), /<script>document\.title/);
  for (const path of ['/', '/library/alice', '/library/alice/default', '/search?q=cow', '/library/alice/default/cow']) {
    await go(page, path);
    await page.getByText('<script>').first().waitFor();
    assert.equal(await page.locator('main script, main [onerror], main img').count(), 0);
    assert.ok(!(await page.title()).includes('owned'));
  }
  await page.close();
});

await test('the search finds an image, and says when there is none', async () => {
  const page = await open(stranger);
  await go(page, '/');
  await page.getByLabel('Search images').fill('cow');
  await page.keyboard.press('Enter');
  await page.getByText('1 images match “cow”').waitFor();
  await page.getByRole('link', { name: 'alice/default/cow' }).waitFor();
  await go(page, '/search?q=' + encodeURIComponent("' OR 1=1 --"));
  await page.getByText('0 images match').waitFor();
  await page.close();
});

await test('only an administrator administers', async () => {
  const page = await open(boss), other = await open(alice);
  await login(page, 'boss');
  await go(page, '/admin');
  await page.getByLabel('User name').fill('carol');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('button', { name: 'Disable carol' }).click();
  await page.getByRole('button', { name: 'Enable carol' }).waitFor();
  await page.getByText('Free').waitFor();
  await go(other, '/admin');
  await other.getByText('Only administrators see this page').waitFor();
  await Promise.all([page.close(), other.close()]);
});

await test('a change without the session’s secret is refused', async () => {
  const page = await open(alice);
  await go(page, '/');
  const status = await page.evaluate(async () => (await fetch('/api/projects', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name":"forged"}' })).status);
  assert.equal(status, 403);
  await page.close();
});

await test('pages allow no foreign and no inline script, and no frame', async () => {
  const page = await open(stranger);
  const answer = await go(page, '/');
  const policy = answer.headers()['content-security-policy'];
  for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) assert.ok(policy.includes(rule), policy);
  assert.ok(!policy.includes('unsafe'));
  await page.evaluate(() => { const s = document.createElement('script'); s.textContent = 'document.title = "owned"'; document.body.append(s); });
  assert.ok(!(await page.title()).includes('owned'));
  assert.ok(troubles.splice(0).every((x) => x.includes('Content Security Policy')));
  await page.close();
});

await test('the keyboard alone reaches the content, and the language changes and stays', async () => {
  const page = await open(stranger);
  await go(page, '/');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'q');
  await page.getByRole('button', { name: '中文' }).press('Enter');
  await page.getByRole('heading', { name: '本站的容器镜像' }).waitFor();
  await go(page, '/keys');
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
  await page.close();
});

if (process.env.BUILDER) {
  const definition = (script) => `Bootstrap: scratch\n\n%setup\n    ${script}\n\n%help\n    <img src=x onerror="document.title=1"> 中文\n`;
  async function build(page, script, ref = '') {
    await go(page, '/build');
    const main = page.getByRole('main');
    await main.getByLabel('Definition file').fill(definition(script));
    await main.getByLabel('Store as (optional)').fill(ref);
    await main.getByRole('button', { name: 'Build', exact: true }).click();
    await page.waitForURL(/\/build\/[0-9a-f]{24}$/);
    await page.waitForSelector('main[data-ready]');
  }
  const log = (page) => page.getByRole('log').innerText();

  await test('a definition is built while its log is watched, and log and image can be downloaded', async () => {
    const page = await open(alice);
    await build(page, 'echo "<b>bold</b> 中文"; for i in 1 2 3 4 5; do echo step $i; sleep 0.3; done; mkdir $SINGULARITY_ROOTFS/made', `library://alice/default/built:v1`);
    await page.getByText('step 5', { exact: false }).first().waitFor();
    await page.getByRole('link', { name: 'Download SIF' }).waitFor();
    assert.match(await log(page), /<b>bold<\/b> 中文[^]*step 1[^]*step 5[^]*Setting tag v1/);
    assert.equal(await page.locator('pre.log b').count(), 0);
    assert.match(await page.getByRole('main').innerText(), /Succeeded[^]*singularity pull library:\/\/alice\/default\/built:v1/);
    const [text] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download Log' }).click()]);
    assert.match(text.suggestedFilename(), /^build-[0-9a-f]{24}\.log$/);
    assert.match((await (await import('node:fs/promises')).readFile(await text.path())).toString(), /step 5/);
    const [image] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download SIF' }).click()]);
    assert.match((await (await import('node:fs/promises')).readFile(await image.path())).subarray(0, 64).toString('latin1'), /SIF_MAGIC/);
    if (shots) await page.screenshot({ path: `${shots}/light-built.png`, fullPage: true });
    await page.getByRole('button', { name: 'Open in the remote builder' }).click();
    await page.waitForURL(base + '/build');
    await page.waitForSelector('main[data-ready]');
    assert.match(await page.getByLabel('Definition file').inputValue(), /step \$i[^]*中文/);
    assert.match(await page.getByRole('main').innerText(), /Past builds[^]*library:\/\/alice\/default\/built:v1/);
    await page.close();
  });

  await test('a build can be cancelled, and one that fails says why', async () => {
    const page = await open(alice);
    await build(page, 'echo it begins; sleep 1000');
    await page.getByText('it begins', { exact: false }).first().waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancelled').first().waitFor();
    assert.match(await log(page), /The build was cancelled/);
    await build(page, 'echo it fails; exit 7');
    await page.getByText('Failed', { exact: true }).first().waitFor();
    assert.match(await page.getByRole('main').innerText(), /Reason[^]*it ended with status 255/);
    assert.equal(await page.getByRole('link', { name: 'Download SIF' }).count(), 0);
    const address = page.url();
    await page.close();
    const other = await open(boss);
    await go(other, '/admin');
    assert.match(await other.getByRole('main').innerText(), /alice[^]*Failed|Failed[^]*alice/);
    await go(other, address.slice(base.length));
    assert.match(await log(other).catch(() => ''), /it fails/);
    await other.close();
    const outside = await open(stranger);
    await go(outside, address.slice(base.length));
    assert.equal(await outside.getByRole('log').count(), 0);
    await outside.close();
  });

  await test('the builder speaks Chinese', async () => {
    const chinese = await browser.newContext({ ...english, locale: 'zh-CN', storageState: await alice.storageState() });
    const page = await open(chinese);
    await go(page, '/build');
    await page.getByRole('button', { name: '构建', exact: true }).waitFor();
    await page.getByRole('table').getByRole('link').first().click();
    await page.waitForSelector('main[data-ready]');
    await page.getByRole('link', { name: '下载日志' }).waitFor();
    if (shots) await page.screenshot({ path: `${shots}/chinese-build.png`, fullPage: true });
    await chinese.close();
  });
}

const pages = { home: '/', search: '/search?q=cow', library: '/library', user: '/library/alice', project: '/library/alice/default', image: '/library/alice/default/cow', build: '/build', keys: '/keys?q=nobody', tokens: '/auth/tokens', admin: '/admin' };
for (const [look, options] of Object.entries({
  light: { ...english, colorScheme: 'light' }, dark: { ...english, colorScheme: 'dark', locale: 'zh-CN' }, phone: { ...english, viewport: { width: 360, height: 740 }, isMobile: true },
}))
  await test(`every page is named, labelled and fits the window (${look})`, async () => {
    const context = await browser.newContext({ ...options, storageState: await boss.storageState() });
    const page = await open(context);
    for (const [name, path] of Object.entries(pages)) {
      await go(page, path);
      const found = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth > window.innerWidth,
        headings: document.querySelectorAll('h1').length,
        unnamed: [...document.querySelectorAll('input, select, textarea')].filter((x) => !x.labels?.length && !x.getAttribute('aria-label')).length
          + [...document.querySelectorAll('a, button')].filter((x) => !x.textContent.trim() && !x.getAttribute('aria-label')).length,
        keys: [...document.querySelectorAll('main *')].some((x) => x.textContent === 'undefined'),
      }));
      assert.deepEqual(found, { wide: false, headings: 1, unnamed: 0, keys: false }, `${look} ${name}`);
      if (shots) await page.screenshot({ path: `${shots}/${look}-${name}.png`, fullPage: true });
    }
    await context.close();
  });

await browser.close();
