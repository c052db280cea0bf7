// @analytics-debugger/ga4mp in node: one GET a hit, nobody hears of failures.
import { createRequire } from 'node:module';
// the package's "main" names a file that it does not hold
const ga4mp = createRequire(import.meta.url)('@analytics-debugger/ga4mp/dist/ga4mp.umd.min.js');

export function start({ url, person, page }) {
  const tracker = ga4mp(['G-MIXBOT01'], {
    endpoint: `${url}/g/collect`,
    mode: 'node',
    user_ip_address: person.ip,
  });
  let user;
  return {
    event(name, fields) {
      if (name === 'page_view')
        tracker.trackEvent('page_view', {
          page_location: page.url,
          page_referrer: page.referrer,
          page_title: page.title,
          language: 'de-DE',
          session_id: person.session,
        });
      else
        tracker.trackEvent(name.toLowerCase().replaceAll(' ', '_'), {
          ...fields,
          session_id: person.session, // takes the place of its own `sid`
        });
    },
    identify(id) {
      user = id;
      tracker.setUserId(id);
      tracker.setUserProperty('email', person.email);
    },
    ids: () => ({
      client: tracker.getClientId(),
      'client as in the cookie _ga': `GA1.1.${tracker.getClientId()}`,
      session: person.session,
      ...(user && { user }),
    }),
    errors: () => [],
    leave() {},
  };
}
