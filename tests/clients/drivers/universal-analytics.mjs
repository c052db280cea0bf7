// npm universal-analytics: form fields, one hit to /collect, more to /batch.
import ua from 'universal-analytics';

export function start({ url, person, page }) {
  const visitor = ua('UA-1234567-1', { hostname: url, path: '/collect' });
  visitor.set('uip', person.ip);
  visitor.set('cd1', person.session);
  visitor.set('dr', page.referrer);
  const errors = [];
  let user;
  const send = (hit) =>
    new Promise((resolve) =>
      hit.send((error) => {
        if (error) errors.push(String(error.message ?? error));
        resolve();
      })
    );
  // of a Universal event's four fields two are free
  const labels = {
    'File Uploaded': (f) => ({ el: f.file_name, ev: f.file_size }),
    'DAW Selected': (f) => ({ el: f.daw }),
    'Genre Detected': (f) => ({ el: f.genre }),
    'Analysis Completed': (f) => ({ el: f.file.path, ev: Math.round(f.duration_s) }),
    'Feedback Downloaded': (f) => ({ el: f.feedback_text }),
  };
  const put = (hit, [name, fields]) =>
    name === 'page_view'
      ? hit.pageview({ dp: '/upload', dl: page.url, dt: page.title, ul: 'de-DE' })
      : hit.event({ ec: 'mixbot', ea: name, ...labels[name](fields) });
  return {
    event: (name, fields) => send(put(visitor, [name, fields])),
    events: (list) => send(list.reduce(put, visitor)), // /batch
    identify(id) {
      user = id;
      visitor.set('uid', id);
    },
    ids: () => ({
      client: visitor.cid,
      ...(user && { user }),
    }),
    errors: () => errors,
    leave() {},
  };
}
