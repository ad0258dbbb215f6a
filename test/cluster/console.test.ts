/** The console in a real Chromium: drills by mouse and by keyboard, what axe finds, what it may load, restarts of the router, keys. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { digestOf } from '../../services/router/keys/key-access.ts';
import { launchBrowser, needChromium } from '../harness/browser/browser.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

/** For what the page shows after the next events of the stream, on a machine with other work. */
const LIMIT_MS = 60_000;
const HOSTILE = '<img src=x onerror="window.wasRun=true"><script>window.wasRun=true</script>';
const wide = { width: 1280, height: 900 };
const narrow = { width: 390, height: 844 };

interface Opened {
  readonly page: Page;
  /** Errors of scripts and of the policy, and requests to other origins. Answers that are refusals are none. */
  readonly flaws: string[];
}

describe('the console in a browser', function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let browser: Browser;
  let directory: string;
  const pages: Page[] = [];

  before(async function () {
    const chromium = needChromium(this);
    directory = mkdtempSync(join(tmpdir(), 'tidal-console-'));
    const entry = (name: string, scopes: string): string =>
      `  - name: ${name}\n    sha256: ${digestOf(`key-of-${name}`).toString('hex')}\n    scopes: [${scopes}]\n`;
    const file = join(directory, 'keys.yaml');
    writeFileSync(file, `keys:\n${entry('reader', 'read')}${entry('operator', 'read, admin')}`);
    const keyed = { main: 'services/router/main.js', env: { TIDAL_API_KEYS_FILE: file } };
    cluster = await Cluster.start({
      ...{ routers: 2, startLimitMs: 120_000, mains: { 'router-2': keyed } },
      environment: { TIDAL_DRAIN_MS: '500' },
    });
    browser = await launchBrowser(chromium);
    for (let id = 1; id <= 12; id++) await put(id, `${HOSTILE} Film ${id}`);
  });
  after(async () => {
    await browser?.close();
    await cluster?.stop();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
  });

  const put = async (entity_id: number, title: string): Promise<void> => {
    assert.equal((await cluster.post('/items', { entity_id, metadata: { title } })).status, 200);
  };

  async function open(url = cluster.url, options: BrowserContextOptions = {}): Promise<Opened> {
    const context = await browser.newContext({ viewport: wide, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    pages.push(page);
    const flaws: string[] = [];
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== url) flaws.push(`request to ${request.url()}`);
    });
    page.on('pageerror', (error) => flaws.push(`error ${error.message}`));
    page.on('console', (message) => {
      // Chromium reports refusals and lost connections, which the page shows.
      if (message.text().startsWith('Failed to load resource')) return;
      if (['error', 'warning'].includes(message.type())) flaws.push(`${message.type()} ${message.text()}`);
    });
    await page.goto(`${url}/`);
    return { page, flaws };
  }

  const card = (page: Page, region: string): Locator =>
    page.locator('#regions > li').filter({ has: page.getByRole('heading', { name: region, exact: true }) });
  const fact = (where: Locator, term: string): Locator =>
    where
      .locator('dl > div')
      .filter({ has: where.page().locator('dt', { hasText: new RegExp(`^${term}$`) }) })
      .locator('dd');
  const shows = (where: Locator, text: string | RegExp): Promise<void> =>
    where.filter({ hasText: text }).first().waitFor({ state: 'visible' });
  const button = (page: Page, name: string): Locator => page.getByRole('button', { name, exact: true });
  const results = (page: Page): Locator => page.locator('#result-list > li');
  const lagOf = async (page: Page, region: string): Promise<number> =>
    Number((await fact(card(page, region), 'Lag').textContent())?.replace(/\D/g, ''));

  /** Writes one item after the other until it is stopped. */
  function write(): () => Promise<void> {
    let isEnding = false;
    const writing = (async () => {
      for (let id = 1_000; !isEnding; id++) await put(id, `Jazz ${id}`);
    })();
    return async () => {
      isEnding = true;
      await writing;
    };
  }

  it('a whole drill by mouse: partition, growing lag, side by side, heal, verify, and the journal has it', async () => {
    const { page, flaws } = await open();
    await shows(card(page, 'ap-south'), 'Up to date');
    await button(page, 'Compare').click();
    // What an item has is a text.
    await shows(page.locator('#columns > li').nth(2), HOSTILE);
    assert.equal(await page.evaluate('window.wasRun'), undefined);
    const stop = write();
    try {
      await button(page, 'Partition ap-south…').click();
      const dialog = page.getByRole('dialog', { name: 'Partition ap-south?' });
      await shows(dialog, /ap-south, a follower, will neither receive nor ship events until .*\(5 min\)/);
      await shows(dialog, 'Writes are accepted by us-east as before.');
      // Without a deadline nothing is done.
      const minutes = dialog.getByLabel('It heals itself after, minutes');
      for (const none of ['', '0', '-1', '2000']) {
        await minutes.fill(none);
        await button(page, 'Partition ap-south').click();
        assert.ok(await dialog.isVisible(), none);
      }
      assert.equal((await cluster.status()).regions.find(({ name }) => name === 'ap-south')?.partitioned, false);
      await minutes.fill('30');
      await shows(dialog, '(30 min)');
      await button(page, 'Partition ap-south').click();
      await shows(results(page), 'ap-south is partitioned until');
      await shows(card(page, 'ap-south'), /It heals itself in \d+ min/);
      assert.ok((await cluster.status()).regions.find(({ name }) => name === 'ap-south')?.heal_at !== undefined);
      await shows(page.locator('#notes'), 'ap-south is partitioned');

      await eventually('the lag grows', async () => (await lagOf(page, 'ap-south')) > 5, LIMIT_MS);
      const before = await lagOf(page, 'ap-south');
      await eventually('the lag grows on', async () => (await lagOf(page, 'ap-south')) > before, LIMIT_MS);
      const plot = card(page, 'ap-south').getByRole('img', { name: /^Lag in events over the last 15 minutes: now / });
      assert.match((await plot.getAttribute('aria-label')) ?? '', /highest [1-9]/);
      assert.match((await plot.locator('path').getAttribute('d')) ?? '', /^M.*L/);

      await button(page, 'Compare').click();
      await shows(page.locator('#compare-summary'), /ap-south answers? other items than us-east\./);
      await shows(page.locator('#columns > li').nth(2), 'not at us-east');
      await button(page, 'Heal ap-south…').click();
      await shows(page.getByRole('dialog', { name: 'Heal ap-south?' }), 'will receive and ship events again at once');
      await button(page, 'Heal ap-south').click();
      await shows(results(page), /ap-south is healed: .* the same as us-east, eu-west/);
    } finally {
      await stop();
    }
    await shows(card(page, 'ap-south'), 'Up to date');
    assert.equal(await lagOf(page, 'ap-south'), 0);
    await button(page, 'Compare').click();
    await shows(page.locator('#compare-summary'), 'All 3 regions answer the same items in the same order.');
    await button(page, 'Verify…').click();
    await button(page, 'Verify').click();
    await shows(results(page), 'us-east, eu-west, ap-south have the same state.');
    await shows(page.locator('#journal-list > li'), 'ap-south was partitioned until');
    await shows(page.locator('#journal-list > li'), 'ap-south was healed.');
    assert.deepEqual(flaws, []);
  });

  it('a whole drill by keyboard: partition, heal, and another leader', async () => {
    const { page, flaws } = await open();
    const { leader, regions } = await cluster.status();
    const target = regions.find(({ name }) => name !== leader && name !== 'ap-south')!.name;
    await shows(card(page, target), 'Up to date');
    const focused = (): Promise<string> =>
      page.evaluate('(document.activeElement.labels?.[0] ?? document.activeElement).textContent');
    const tabTo = async (name: string): Promise<void> => {
      for (let step = 0; step < 100; step++) {
        if ((await focused()) === name) return;
        await page.keyboard.press('Tab');
      }
      assert.fail(`${name} is not reached with the Tab key`);
    };

    await tabTo('Partition ap-south…');
    await page.keyboard.press('Enter');
    await tabTo('It heals itself after, minutes');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type('20');
    await shows(page.getByRole('dialog'), '(20 min)');
    await page.keyboard.press('Enter');
    await shows(card(page, 'ap-south').locator('.state'), 'Partitioned');
    // The focus is where it was.
    assert.equal(await focused(), 'Partition ap-south…');
    await tabTo('Heal ap-south…');
    await page.keyboard.press('Space');
    await tabTo('Heal ap-south');
    await page.keyboard.press('Space');
    await shows(results(page), 'ap-south is healed');
    await shows(card(page, 'ap-south').locator('.state'), 'Up to date');

    await tabTo(`Promote ${target}…`);
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: `Promote ${target}?` });
    await shows(dialog, `${leader} stops accepting`);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(await focused(), `Promote ${target}…`);
    assert.equal((await cluster.status()).leader, leader);
    await page.keyboard.press('Enter');
    await tabTo(`Forced: without asking ${leader}`);
    await page.keyboard.press('Space');
    await shows(dialog, `${leader} is not asked.`);
    await page.keyboard.press('Space');
    await shows(dialog, `${leader} stops accepting`);
    await tabTo(`Promote ${target}`);
    await page.keyboard.press('Enter');
    await shows(results(page), `${target} leads in epoch`);
    await shows(fact(page.locator('main'), 'Leader'), target);
    await shows(page.locator('#journal-list > li'), `${target} leads in epoch`);
    await shows(page.locator('#announcement'), /./);
    // What is not possible says why, and does nothing.
    const own = button(page, `Promote ${target}…`);
    await eventually(
      'it cannot be promoted again',
      async () => (await own.getAttribute('aria-disabled')) === 'true',
      LIMIT_MS,
    );
    assert.equal(await own.getAttribute('title'), 'Not possible: it leads already');
    await tabTo(`Promote ${target}…`);
    await page.keyboard.press('Enter');
    assert.ok(!(await page.locator('dialog').isVisible()));
    assert.deepEqual(flaws, []);
  });

  it('shows a drill of a file while it is in progress, and ends it; a search is compared as well', async () => {
    const { page, flaws } = await open();
    await shows(card(page, 'ap-south'), 'Up to date');
    const drill = { id: 'consoleabcdef', title: '<b>A follower is partitioned</b>' };
    assert.equal((await cluster.post('/cluster/drill', drill)).status, 200);
    await shows(page.locator('#drill'), /The drill “<b>A follower is partitioned<\/b>” has been in progress for \d+ s/);
    await button(page, 'Stop drills…').click();
    await shows(page.getByRole('dialog', { name: 'Stop drills?' }), `The drill “${drill.title}” ends`);
    await button(page, 'Stop drills').click();
    await shows(results(page), `The drill “${drill.title}” was ended; healed: none.`);
    await page.locator('#drill p').first().waitFor({ state: 'detached' });

    await page.getByLabel('Read', { exact: true }).selectOption('search');
    await page.getByLabel('Words').fill('Film');
    await page.getByLabel('Regions, the first is compared with').fill('us-east ap-south, nowhere');
    await button(page, 'Compare').click();
    await shows(page.locator('#compare-summary'), 'nowhere did not answer.');
    await shows(page.locator('#columns > li').nth(1), /#\d+ <img/);
    await shows(page.locator('#columns > li').nth(2), 'The region is not in the topology.');
    assert.deepEqual(flaws, []);
  });

  async function violations(page: Page): Promise<string[]> {
    await page.evaluate(axe.source);
    const found = (await page.evaluate('axe.run()')) as axe.AxeResults;
    assert.ok(found.passes.length > 10);
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of [wide, narrow]) {
      it(`axe finds nothing, and nothing is beside the page, ${colorScheme}, ${viewport.width} pixels wide`, async () => {
        const { page, flaws } = await open(cluster.url, { colorScheme, viewport });
        await shows(card(page, 'ap-south'), 'Up to date');
        await cluster.post('/cluster/partition', { region: 'ap-south', heal_after: 600 });
        await shows(card(page, 'ap-south'), 'It heals itself in');
        await put(2_000, 'Newer');
        await button(page, 'Compare').click();
        await shows(page.locator('#compare-summary'), /./);
        for (const summary of await page.locator('summary').all()) await summary.click();
        assert.deepEqual(await violations(page), []);
        assert.ok(Number(await page.evaluate('document.documentElement.scrollWidth')) <= viewport.width);
        await button(page, 'Heal ap-south…').click();
        assert.deepEqual(await violations(page), []);
        await button(page, 'Heal ap-south').click();
        await shows(results(page), 'ap-south is healed');
        assert.deepEqual(flaws, []);
      });
    }
  }

  it('survives a restart of its router: it says that what it shows is old, and keeps the past it knows', async () => {
    const { page, flaws } = await open();
    await shows(page.locator('#connection'), 'Live');
    const points = async (): Promise<number> =>
      ((await page.locator('#rates path').first().getAttribute('d')) ?? '').split(/[ML]/).length - 1;
    await eventually('some samples', async () => (await points()) >= 3, LIMIT_MS);
    const before = await points();
    await cluster.process('router').end('SIGTERM');
    await shows(page.locator('#connection'), 'Connection lost, trying again: what is shown is old.');
    assert.ok(await card(page, 'ap-south').isVisible());
    await cluster.restart('router');
    await shows(page.locator('#connection'), 'Live');
    await eventually('more samples', async () => (await points()) > before, LIMIT_MS);
    await cluster.kill('router');
    await shows(page.locator('#connection'), 'Connection lost');
    await cluster.restart('router');
    await shows(page.locator('#connection'), 'Live');
    assert.deepEqual(flaws, []);
  });

  it('signs in with a key: to one that may only read it says which scope the rest needs; nothing stays after signing out', async () => {
    const url = cluster.routerUrls[1]!;
    const { page, flaws } = await open(url);
    const signIn = async (key: string): Promise<void> => {
      await page.getByLabel('Key').fill(key);
      await page.keyboard.press('Enter');
    };
    await shows(page.getByRole('heading', { name: 'Sign in' }), /./);
    assert.ok(!(await page.locator('#content').isVisible()));
    assert.deepEqual(await violations(page), []);
    await signIn('no-such-key');
    await shows(page.getByRole('alert'), 'the key is not known');

    await signIn('key-of-reader');
    await shows(page.locator('#scope'), 'this needs the scope admin; the key reader has read');
    for (const name of ['Verify…', 'Stop drills…', 'Partition…', 'Heal…', 'Promote…']) {
      const denied = button(page, `${name} (scope admin)`);
      assert.equal(await denied.getAttribute('aria-disabled'), 'true', name);
      await denied.click({ force: true });
    }
    assert.ok(!(await page.locator('dialog').isVisible()));
    await shows(fact(page.locator('main'), 'State'), 'ok');
    await button(page, 'Compare').click();
    await shows(page.locator('#columns > li'), 'no lag');
    assert.deepEqual(await violations(page), []);

    await button(page, 'Sign out').click();
    await shows(page.getByRole('heading', { name: 'Sign in' }), /./);
    assert.equal(await page.locator('#columns > li').count(), 0);
    await signIn('key-of-operator');
    await shows(card(page, 'ap-south'), 'Up to date');
    assert.ok(!(await page.locator('#scope').isVisible()));
    await button(page, 'Verify…').click();
    await button(page, 'Verify').click();
    await shows(results(page), 'have the same state.');
    await page.reload();
    await shows(card(page, 'ap-south'), 'Up to date');
    assert.deepEqual(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]'), ['', 0, 1]);
    assert.equal(page.url(), `${url}/`);
    assert.deepEqual(flaws, []);
  });
});
