// The page's own script with npm mixpanel-browser.
import mixpanel from 'mixpanel-browser';

const errors = [];

window.sdk = {
  start({ url }) {
    mixpanel.init('MPTOKEN123', {
      api_host: url,
      error_reporter: (message) => errors.push(`mixpanel: ${message}`),
    });
  },
  event(name, fields) {
    if (name === 'page_view') mixpanel.track_pageview();
    else mixpanel.track(name, fields);
  },
  identify(user, person) {
    mixpanel.identify(user);
    mixpanel.people.set({ $email: person.email, $name: person.name, $ip: person.ip });
  },
  ids() {
    const cookie = document.cookie
      .split('; ')
      .find((c) => c.startsWith('mp_MPTOKEN123_mixpanel='));
    const kept = JSON.parse(decodeURIComponent(cookie.slice(cookie.indexOf('=') + 1)));
    return {
      'get_distinct_id()': mixpanel.get_distinct_id(),
      'cookie: $device_id': kept.$device_id,
      'cookie: distinct_id': kept.distinct_id,
      ...(kept.$user_id && { 'cookie: $user_id': kept.$user_id }),
    };
  },
  errors: () => errors,
};
