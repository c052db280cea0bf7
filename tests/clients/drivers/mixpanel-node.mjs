// npm mixpanel: server side, the app itself names who it is.
import Mixpanel from 'mixpanel';

export function start({ url, person, page }) {
  const { hostname, port } = new URL(url);
  const mixpanel = Mixpanel.init('MPTOKEN123', {
    host: hostname,
    port: Number(port),
    protocol: 'http',
  });
  const errors = [];
  const done = (send) =>
    new Promise((resolve) =>
      send((error) => {
        if (error) errors.push(String(error.message ?? error));
        resolve();
      })
    );
  let user;
  const who = () => ({
    distinct_id: user ?? `$device:${person.device}`,
    $device_id: person.device,
    ip: person.ip,
    session_id: person.session,
  });
  return {
    event: (name, fields) =>
      done((then) =>
        name === 'page_view'
          ? mixpanel.track(
              '$mp_web_page_view',
              { ...who(), $current_url: page.url, $referrer: page.referrer },
              then
            )
          : mixpanel.track(name, { ...who(), ...fields }, then)
      ),
    async identify(id) {
      user = id;
      const profile = { $email: person.email, $name: person.name, $ip: person.ip };
      await done((then) => mixpanel.people.set(user, profile, then));
      await done((then) => mixpanel.alias(user, person.email, then));
    },
    // what the app holds and could show to the person
    ids: () => ({
      device: person.device,
      'device as distinct_id': `$device:${person.device}`,
      ...(user && { user }),
    }),
    errors: () => errors,
    leave() {},
  };
}
