// A page with three SDKs, as an app that uses all of them has it, and what
// docs/examples/optout-return.js does on it.
import mixpanel from 'mixpanel-browser';
import { track } from '@minimal-analytics/ga4';
import ga4mp from '@analytics-debugger/ga4mp/dist/ga4mp.esm.js';

const MIB = 1048576;
let tracker;

const ids = () => ({
  mixpanel: mixpanel.get_distinct_id(),
  'minimal-ga4': localStorage.getItem('clientId'),
  ga4mp: tracker.getClientId(),
});

window.sdk = {
  start({ url }) {
    mixpanel.init('MPTOKEN123', { api_host: url, batch_requests: false });
    window.minimalAnalytics = { analyticsEndpoint: `${url}/g/collect` };
    // ga4mp forgets its client with the page: the app keeps it for it
    tracker = ga4mp(['G-MIXBOT01'], {
      endpoint: `${url}/g/collect`,
      client_id: localStorage.getItem('ga4mp') ?? undefined,
    });
    localStorage.setItem('ga4mp', tracker.getClientId());
    // a page that heeds the answer starts nothing; this one goes on all the same
    return window.letheOptout(url, ids);
  },
  // one event an SDK, told apart by the size of the file
  events(first) {
    const fields = (n) => ({ file_size: (first + n) * MIB, file_type: 'audio/wav', file_name: 'Jane Doe.wav' });
    mixpanel.track('File Uploaded', fields(0));
    const numbered = fields(1);
    track('G-MIXBOT01', {
      type: 'file_uploaded',
      event: { 'epn.file_size': numbered.file_size, 'ep.file_type': numbered.file_type },
    });
    tracker.trackEvent('file_uploaded', fields(2));
  },
  ids,
};
