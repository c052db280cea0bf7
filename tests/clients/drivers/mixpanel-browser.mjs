import { start as browser } from './browser.mjs';
export const start = (settings) => browser('mixpanel-browser', settings);
