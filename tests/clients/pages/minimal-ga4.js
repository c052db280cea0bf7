// The page's own script with npm @minimal-analytics/ga4.
import { track } from '@minimal-analytics/ga4';

const TRACKING_ID = 'G-MIXBOT01';
let user;

const parameters = (fields) =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      `${typeof value === 'number' ? 'epn' : 'ep'}.${name}`,
      typeof value === 'object' ? JSON.stringify(value) : value,
    ])
  );

window.sdk = {
  start({ url }) {
    window.minimalAnalytics = { analyticsEndpoint: `${url}/g/collect` };
  },
  event(name, fields) {
    if (name === 'page_view') track(TRACKING_ID);
    else
      track(TRACKING_ID, {
        type: name.toLowerCase().replaceAll(' ', '_'),
        event: { ...parameters(fields), ...(user && { uid: user }) },
      });
  },
  identify(id, person) {
    user = id;
    track(TRACKING_ID, { type: 'login', event: { uid: id, 'up.email': person.email } });
  },
  ids: () => ({
    'localStorage: clientId': localStorage.getItem('clientId'),
    'sessionStorage: sessionId': sessionStorage.getItem('sessionId'),
    ...(user && { user }),
  }),
  errors: () => [],
};
