// A person with a browser: an app with three SDKs on http://localhost, and the
// gateway's page for people, on the same site and on another.
import { readFileSync } from 'node:fs';
import { launch, serve } from './browser.mjs';

const RETURN = new URL('../../../docs/examples/optout-return.js', import.meta.url);

export async function start({ url }) {
  const server = await serve('person', 'An app with three SDKs', {
    '/optout-return.js': readFileSync(RETURN, 'utf8'),
  });
  const app = `http://localhost:${server.address().port}/settings`;
  const browser = await launch();
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const open = async (address) => {
    await page.goto(address);
    return page.evaluate((u) => window.sdk.start({ url: u }), url);
  };

  // The button of /privacy, found as a screen reader finds it, pressed by key.
  async function press(where, name) {
    const button = where.getByRole('button', { name });
    await button.focus();
    await Promise.all([where.waitForNavigation(), where.keyboard.press('Enter')]);
    return where.locator('main').innerText();
  }

  return {
    app: () => app,
    open: () => open(app),
    events: (first) => page.evaluate((n) => window.sdk.events(n), first),
    ids: () => page.evaluate(() => window.sdk.ids()),
    async privacy(picture) {
      await page.goto(`${url}/privacy`);
      const before = await page.locator('main').innerText();
      const after = await press(page, 'Opt out of analytics');
      const focused = await page.evaluate(() => document.activeElement.getAttribute('role'));
      if (picture) await page.screenshot({ path: picture, fullPage: true });
      return {
        before, after, focused,
        receipt: await page.locator('#receipt').innerText(),
        scripts: await page.evaluate(() => document.scripts.length),
        cookies: await context.cookies(url),
        wide: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
      };
    },
    // the link back to the app: what its page does with it
    async comeBack() {
      await page.getByRole('link', { name: app }).click();
      await page.waitForURL(/settings/);
      const heeded = await page.evaluate((u) => window.sdk.start({ url: u }), url);
      await page.waitForFunction(() => localStorage.getItem('lethe-receipt'));
      return {
        heeded,
        address: page.url(),
        receipt: await page.evaluate(() => localStorage.getItem('lethe-receipt')),
      };
    },
    // another browser without JavaScript
    async withoutScripts() {
      const other = await browser.newContext({ javaScriptEnabled: false, locale: 'de-DE' });
      const bare = await other.newPage();
      await bare.goto(`${url}/privacy`);
      const out = await press(bare, 'Von der Messung abmelden');
      const cookies = await other.cookies(url);
      const back = await press(bare, 'Diesen Browser wieder anmelden');
      const left = await other.cookies(url);
      await other.close();
      return { out, cookies, back, left };
    },
    // the page under a name that is another site than the app's
    async foreign(address) {
      const other = await browser.newContext({ locale: 'en-GB' });
      const there = await other.newPage();
      await there.goto(`${address}/privacy`);
      const seen = {
        text: await there.locator('main').innerText(),
        buttons: await there.getByRole('button').count(),
        links: await there.getByRole('link', { name: app }).count(),
      };
      await other.close();
      return seen;
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}
