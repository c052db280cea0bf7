// One SDK in a page in Chromium. The page is of http://localhost, the gateway
// of http://127.0.0.1: another site. Requests are only watched, never routed:
// with a route, Playwright answers preflights itself.
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { build } from 'esbuild';

// Neither headless nor of the day: golden files tell of it. As an argument,
// since what Playwright sets does not reach a beacon that is sent on leaving.
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';

const here = new URL('..', import.meta.url).pathname;

// `files`: more that the page may ask for, by path; scripts stand before its own.
export async function serve(name, title, files = {}) {
  const bundle = await build({
    entryPoints: [`${here}pages/${name}.js`],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    logLevel: 'error',
  });
  const script = bundle.outputFiles[0].text;
  const server = createServer((request, response) => {
    if (request.url === '/page.js') {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(script);
    } else if (files[request.url]) {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(files[request.url]);
    } else {
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><title>${title}</title>
${Object.keys(files).map((f) => `<script src="${f}"></script>`).join('')}
<script src="/page.js"></script>
<p><a id="link" href="#${encodeURIComponent('jane.doe@example.com')}">feedback</a>`);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

export function launch() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: false,
    args: [
      `--user-agent=${USER_AGENT}`, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
      '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
    ],
  });
}

export async function start(name, { url, person, page: at }) {
  const server = await serve(name, at.title);
  const browser = await launch();
  const context = await browser.newContext({ locale: 'de-DE' });
  const page = await context.newPage();
  const errors = [];
  // A page also asks for its icon; only the SDK's requests matter.
  const ours = (request) => request.url().startsWith(url);
  page.on('pageerror', (e) => errors.push(`page error: ${e.message}`));
  page.on('console', (m) => {
    if (m.type() === 'error' && !m.location().url.includes('favicon'))
      errors.push(`console: ${m.text()}`);
  });
  page.on('requestfailed', (r) => {
    if (ours(r)) errors.push(`${r.method()} failed: ${r.failure()?.errorText}`);
  });
  await page.goto(
    `http://localhost:${server.address().port}${new URL(at.url).pathname}${new URL(at.url).search}#step-1`,
    { referer: at.referrer }
  );
  await page.evaluate((settings) => window.sdk.start(settings), { url, person });
  return {
    event: (...args) => page.evaluate(([n, f]) => window.sdk.event(n, f), args),
    identify: (user) =>
      page.evaluate(([u, p]) => window.sdk.identify(u, p), [user, person]),
    ids: () => page.evaluate(() => window.sdk.ids()),
    errors: async () => [...errors, ...(await page.evaluate(() => window.sdk?.errors() ?? []))],
    leave: () => page.goto('about:blank'),
    async close() {
      await browser.close();
      server.close();
    },
  };
}
