import { start as browser } from './browser.mjs';
export const start = (settings) => browser('minimal-ga4', settings);
