// The script of all pages: sends requests to the API, keeps pages up to date, shows times in the time zone of the user.

const csrf = document.querySelector('meta[name="csrf-token"]')?.getAttribute('content');
const notices = document.getElementById('notices');
const dialog = document.getElementById('ask');

/** Sends a request to the API; returns its response, or throws an error with a text for users. */
export async function ask(method, path, body) {
  const headers = { accept: 'application/json' };
  if (csrf) headers['x-xsrf-token'] = csrf;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) location.assign(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
  const told = answer.headers.get('content-type')?.includes('json') ? await answer.json() : undefined;
  if (!answer.ok) throw new Error(told?.message ?? `The request failed (HTTP ${answer.status}).`);
  return told;
}

export function notice(text, { isBad = false, undo } = {}) {
  const box = document.createElement('div');
  box.textContent = text;
  if (isBad) box.className = 'bad';
  if (undo) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = undo.label;
    button.dataset.method = 'POST';
    button.dataset.path = undo.path;
    button.addEventListener('click', () => box.remove(), { once: true });
    box.append(' ', button);
  }
  notices.append(box);
  setTimeout(() => box.remove(), isBad || undo ? 15_000 : 8_000);
}

/** Asks the user for confirmation; resolves to true for yes. */
function confirmed(text) {
  return new Promise((resolve) => {
    dialog.querySelector('#ask-text').textContent = text;
    dialog.returnValue = 'no';
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
    dialog.showModal();
  });
}

// Not a submit button: Enter in the field of the reason would press it.
dialog?.querySelector('[data-close]')?.addEventListener('click', () => dialog.close('no'));

/** Asks the user for a reason; resolves to undefined if the user cancels. */
async function reasonFor(text) {
  const field = dialog.querySelector('#ask-reason');
  const input = field.querySelector('input');
  input.value = '';
  input.required = true;
  field.hidden = false;
  try {
    return (await confirmed(text)) ? input.value : undefined;
  } finally {
    input.required = false;
    field.hidden = true;
  }
}

// A notice of the previous page.
const kept = sessionStorage.getItem('notice');
if (kept) {
  sessionStorage.removeItem('notice');
  notice(kept);
}

/** Shows a notice on the page that is loaded next. */
export function noticeAfterLoad(text) {
  sessionStorage.setItem('notice', text);
}

async function act(element, method, path, body, done) {
  element.disabled = true;
  try {
    const told = await ask(method, path, body);
    if (done) done(told);
    else notice(told?.did ?? `${element.dataset.done ?? element.textContent.trim()}: done.`, { undo: told?.undo });
    await refresh(true);
    if (told?.asks && (await confirmed(told.asks.text))) await act(element, method, path, { anyway: true }, done);
  } catch (error) {
    notice(error.message, { isBad: true });
    // Another operator may have changed the state before.
    await refresh(true);
  } finally {
    element.disabled = false;
  }
}

/** Ignores the second click of a double click on these: another button may have taken the place of the first. */
const actionButtons = 'button[data-path], button[data-bulk], form[data-path] button, dialog button';
document.addEventListener(
  'click',
  (event) => {
    if (event.detail < 2 || !event.target.closest(actionButtons)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  { capture: true },
);

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-path]');
  if (button) {
    if (button.dataset.confirm && !(await confirmed(button.dataset.confirm))) return;
    if (button.dataset.test !== undefined) return void testTarget(button);
    if (button.dataset.reason) {
      const reason = await reasonFor(button.dataset.reason);
      return void (reason !== undefined && act(button, button.dataset.method, button.dataset.path, { reason }));
    }
    const body = button.dataset.body === undefined ? undefined : JSON.parse(button.dataset.body);
    return void act(button, button.dataset.method, button.dataset.path, body);
  }
  const bulk = event.target.closest('button[data-bulk]');
  if (bulk) return void actOnMany(bulk);
  if (event.target.closest('[data-sign-out]')) {
    await ask('POST', '/api/sign-out').catch(() => undefined);
    location.assign('/sign-in');
  }
  const copy = event.target.closest('button[data-copy]');
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy);
    notice('Copied.');
  }
});

/** Forms that wait for a response: they are not sent a second time. */
const sending = new WeakSet();

/** Forms whose fields are sent as JSON. */
document.addEventListener('submit', async (event) => {
  const form = event.target.closest('form[data-path]');
  if (!form) return;
  event.preventDefault();
  if (sending.has(form)) return;
  sending.add(form);
  try {
    await sendForm(form, event.submitter ?? form.querySelector('button'));
  } finally {
    sending.delete(form);
  }
});

async function sendForm(form, button) {
  const body = { ...JSON.parse(form.dataset.body ?? '{}') };
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.dataset.optional !== undefined && field.value === '') continue;
    if (field.type === 'checkbox') body[field.name] = field.checked;
    else if (field.type === 'number') body[field.name] = field.value === '' ? null : Number(field.value);
    else if (field.dataset.list !== undefined) body[field.name] = [field.value];
    else body[field.name] = field.value;
  }
  if (form.dataset.count && !(await counted(form.dataset.count, body))) return;
  if (form.dataset.preview) {
    if (!(await previewed(form.dataset, body))) return;
  } else if (form.dataset.confirm && !(await confirmed(form.dataset.confirm))) return;
  await act(button, form.dataset.method, form.dataset.path, body, (told) =>
    notice(told?.did ?? form.dataset.done ?? 'Done.'),
  );
}

/** Shows the number of matching studies, and asks for confirmation. */
async function counted(path, body) {
  try {
    const { count } = await ask('POST', path, body);
    if (count === 0) notice('No study matches this filter.');
    if (count === 0) return false;
    const how = body.targets
      ? `to ${body.targets.join(', ')}`
      : body.rule
        ? `by the rule ${body.rule}`
        : 'by the rules';
    return await confirmed(`Route ${count} ${count === 1 ? 'study' : 'studies'} of ${body.source} ${how}?`);
  } catch (error) {
    notice(error.message, { isBad: true });
    return false;
  }
}

/**
 * Shows what the targets have already confirmed. Asks for confirmation if the form has a question, or if the targets have
 * confirmed everything: then all instances are sent again.
 */
async function previewed({ preview, confirm }, body) {
  if (body.everything && !confirm) return true;
  try {
    const { targets } = await ask('POST', preview, body);
    const isThere = targets.length > 0 && targets.every(({ total, confirmed: known }) => known >= total);
    const again = isThere && !body.everything;
    if (!again && !confirm) return true;
    const lines = targets.map(
      ({ target, total, confirmed: known }) => `${target}: already confirmed: ${known} of ${total}`,
    );
    const text = [confirm, lines.join('\n'), again && 'Resend anyway?'].filter(Boolean).join('\n\n');
    if (!(await confirmed(text))) return false;
    if (again) body.everything = true;
    return true;
  } catch (error) {
    notice(error.message, { isBad: true });
    return false;
  }
}

/** Shows which deliveries an action on many would reach, asks for confirmation, and executes it. */
async function actOnMany(button) {
  const action = button.dataset.bulk;
  const filter = JSON.parse(button.dataset.filter);
  button.disabled = true;
  try {
    const preview = await ask('POST', '/api/bulk/preview', { action, filter });
    if (preview.count === 0) {
      notice(`There is nothing to ${action}.`);
      return;
    }
    const targets = Object.entries(preview.byTarget).map(([name, count]) => `${name}: ${count}`);
    const plural = preview.count === 1 ? 'delivery' : 'deliveries';
    const question = `${action[0].toUpperCase()}${action.slice(1)} ${preview.count} ${plural}?\n\n${targets.join('\n')}`;
    const reason = button.dataset.reason && (await reasonFor(`${question}\n\n${button.dataset.reason}`));
    if (button.dataset.reason ? reason === undefined : !(await confirmed(question))) return;
    const result = await ask('POST', '/api/bulk', { action, filter, reason });
    notice(
      result.matched === 0
        ? `There is nothing to ${action} any more.`
        : `${action}: ${result.done} of ${result.matched} done${result.skipped ? `, ${result.skipped} changed in the meantime` : ''}.`,
    );
    await refresh(true);
  } catch (error) {
    notice(error.message, { isBad: true });
  } finally {
    button.disabled = false;
  }
}

/** Runs the connection test of a target and lists its checks. */
async function testTarget(button) {
  const place = document.getElementById(button.dataset.test);
  button.disabled = true;
  place.replaceChildren(paragraph('Testing …'));
  try {
    showChecks(place, await ask('POST', button.dataset.path));
    await refresh(true);
  } catch (error) {
    place.replaceChildren(paragraph(error.message));
  } finally {
    button.disabled = false;
  }
}

/** The checks of a connection, in the order in which they were made. */
export function showChecks(place, { passed, did, checks }) {
  const list = document.createElement('ul');
  list.className = 'checks';
  for (const check of checks) {
    const item = document.createElement('li');
    const sign = { passed: '✓', failed: '✕', skipped: '–' }[check.result];
    const name = document.createElement('b');
    name.textContent = `${sign} ${check.name}`;
    const took = check.result === 'skipped' ? '' : ` in ${Math.round(check.durationMs)} ms`;
    const detail = document.createElement('span');
    detail.className = 'second';
    detail.textContent = [check.detail, check.remedy].filter(Boolean).join('. ');
    item.append(name, ` ${check.result}${took}`, detail);
    list.append(item);
  }
  const head = paragraph(did ?? (passed ? 'The target can be used.' : 'The target cannot be used.'));
  head.className = passed ? 'note good' : 'note bad';
  place.replaceChildren(head, list);
}

function paragraph(text) {
  const made = document.createElement('p');
  made.textContent = text;
  return made;
}

// Live pages: after changes, the page is loaded again in the background, and its changed parts are replaced.
const main = document.getElementById('main');
const isLive = main?.dataset.live !== undefined;
let refreshing = false;
let again = false;
let last = 0;
/** Whether the pointer is pressed: a button must not be replaced meanwhile. */
let pressed = false;
for (const name of ['pointerdown', 'pointerup', 'pointercancel']) {
  addEventListener(name, () => (pressed = name === 'pointerdown'), { capture: true });
}
/** Since when the page could not be loaded again. */
let staleSince;

async function refresh(now = false) {
  if (!main || main.dataset.static !== undefined) return;
  if (refreshing || pressed || (!now && document.hidden)) {
    again = true;
    return;
  }
  refreshing = true;
  again = false;
  try {
    const answer = await fetch(main.dataset.refreshFrom ?? location.href, { headers: { accept: 'text/html' } });
    if (!answer.ok || answer.redirected) {
      staleSince ??= Date.now();
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    // The pointer may have been pressed during the request.
    if (pressed) {
      again = true;
      return;
    }
    const parts = page.querySelectorAll('#main [data-part]');
    for (const part of parts) replacePart(part);
    showTimes();
    showPlotTimes();
    staleSince = undefined;
  } catch {
    again = true;
    staleSince ??= Date.now();
  } finally {
    refreshing = false;
    last = Date.now();
  }
}

function replacePart(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old || old.innerHTML === fresh.innerHTML) return;
  // A part is not replaced while the user types in it.
  if (old.contains(document.activeElement) && document.activeElement.matches('input, select, textarea')) return;
  if (old.querySelector('tr:hover[data-key]') && fresh.querySelector('tr[data-key]'))
    return void updateRows(old, fresh);
  const open = new Set([...old.querySelectorAll('details[open][id]')].map((one) => one.id));
  for (const one of fresh.querySelectorAll('details[id]')) one.open = open.has(one.id) || one.open;
  const focused = old.contains(document.activeElement) ? pathTo(old, document.activeElement) : undefined;
  old.replaceChildren(...document.importNode(fresh, true).childNodes);
  if (focused) focused.reduce((at, index) => at?.children[index], old)?.focus({ preventScroll: true });
}

const waitsForPointer = new Set();

/** While the pointer is over rows, they keep their positions: only their content changes. New rows appear when the pointer leaves. */
function updateRows(old, fresh) {
  const rows = new Map([...fresh.querySelectorAll('tr[data-key]')].map((row) => [row.dataset.key, row]));
  for (const row of old.querySelectorAll('tr[data-key]')) {
    const next = rows.get(row.dataset.key);
    row.classList.toggle('gone', !next);
    if (!next || next.innerHTML === row.innerHTML) continue;
    const focused = row.contains(document.activeElement) ? pathTo(row, document.activeElement) : undefined;
    row.replaceChildren(...document.importNode(next, true).childNodes);
    if (focused) focused.reduce((at, index) => at?.children[index], row)?.focus({ preventScroll: true });
  }
  if (waitsForPointer.has(old)) return;
  waitsForPointer.add(old);
  const leave = () => {
    waitsForPointer.delete(old);
    void refresh(true);
  };
  old.addEventListener('pointerleave', leave, { once: true });
}

function pathTo(root, element) {
  const path = [];
  for (let at = element; at !== root; at = at.parentElement) path.unshift([...at.parentElement.children].indexOf(at));
  return path;
}

if (isLive) {
  const events = new EventSource('/api/events');
  const study = main.dataset.study;
  let timer;
  events.addEventListener('change', (event) => {
    if (study && !JSON.parse(event.data).some((one) => `${one.source} ${one.orthancStudyId}` === study)) return;
    clearTimeout(timer);
    timer = setTimeout(refresh, Math.max(0, 1_000 - (Date.now() - last)));
  });
  // Some changes cause no event, e.g. the end of a back-off or of a dispatcher.
  setInterval(() => (again || Date.now() - last > 15_000) && refresh(), 5_000);
  document.addEventListener('visibilitychange', () => !document.hidden && again && refresh());
}

// A banner for problems of the page itself, or that make its data unreliable.
const banner = document.createElement('div');
banner.id = 'banner';
banner.className = 'banner';
banner.setAttribute('role', 'alert');
banner.hidden = true;
document.querySelector('header.top')?.after(banner);
const loudKinds = new Set(['redis-away', 'redis-lost', 'redis-refuses-writes', 'redis-not-persisting', 'redis-evicts']);
const lookMs = 5_000;
const waitsForRedis = document.title.startsWith('Redis does not respond');
let seenAt = Date.now();
let looking = false;

function sayLoud(text, link) {
  if (banner.dataset.text === text) return;
  banner.dataset.text = text ?? '';
  banner.hidden = text === undefined;
  banner.textContent = text ?? '';
  if (text === undefined || !link) return;
  const made = document.createElement('a');
  made.href = link.href;
  made.textContent = link.text;
  banner.append(' ', made);
}

function clockTime(at) {
  return new Date(at).toLocaleTimeString();
}

async function look() {
  if (looking || document.hidden) return;
  looking = true;
  const old = `The data shown is from ${clockTime(seenAt)}.`;
  try {
    const answer = await fetch('/api/health', {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status === 401) {
      const to = encodeURIComponent(location.pathname + location.search);
      sayLoud(`Your session has ended. ${old}`, { href: `/sign-in?to=${to}`, text: 'Sign in again' });
    } else if (answer.status === 503)
      sayLoud(`Redis does not respond: no study is routed or sent until it responds. ${old}`);
    else if (answer.status >= 500) sayLoud(`The console reports an error (HTTP ${answer.status}). ${old}`);
    else {
      const loud = answer.ok && (await answer.json()).findings.find(({ kind }) => loudKinds.has(kind));
      if (loud) sayLoud(`${loud.words}. ${loud.remedy}`, { href: '/', text: 'Health' });
      else if (staleSince) sayLoud(`This page could not be refreshed since ${clockTime(staleSince)}.`);
      else sayLoud(undefined);
      if (waitsForRedis && !loud) location.reload();
      seenAt = Date.now();
    }
  } catch {
    sayLoud(navigator.onLine ? `The console does not respond. ${old}` : `This computer has no network. ${old}`);
  } finally {
    looking = false;
  }
}

if (location.pathname !== '/sign-in' && location.pathname !== '/setup') {
  void look();
  setInterval(look, lookMs);
  for (const name of ['online', 'offline']) addEventListener(name, look);
  document.addEventListener('visibilitychange', look);
}

// On a phone the links to the pages are one line that scrolls.
document.querySelector('header.top [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

// Times
function showTimes() {
  for (const element of document.querySelectorAll('time[data-time]')) {
    const at = new Date(element.dateTime);
    const exact = at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
    element.title = exact;
    element.textContent = element.dataset.time === 'ago' ? ago(at.getTime()) : exact;
  }
}

/** Times of plots: on the axis, and in the texts of points. */
function showPlotTimes() {
  for (const mark of document.querySelectorAll('svg [data-axis]')) {
    const at = new Date(mark.dataset.at);
    mark.textContent =
      mark.dataset.axis === 'clock'
        ? at.toLocaleTimeString(undefined, { timeStyle: 'short' })
        : at.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric' });
  }
  for (const title of document.querySelectorAll('svg title[data-says]')) {
    const at = new Date(title.dataset.at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    title.textContent = `${at}: ${title.dataset.says}`;
  }
}

function ago(at) {
  const ms = Date.now() - at;
  const s = Math.round(Math.abs(ms) / 1000);
  if (s < 1) return 'now';
  const text =
    s < 60
      ? `${s}s`
      : s < 3600
        ? `${Math.floor(s / 60)}m ${s % 60}s`
        : s < 86_400
          ? `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`
          : `${Math.floor(s / 86_400)}d ${Math.floor((s % 86_400) / 3600)}h`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

// All times, and days in forms, are in the time zone of the user, which each page names.
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
for (const place of document.querySelectorAll('[data-zone]')) place.textContent = `${timeZone} (of this browser)`;
for (const field of document.querySelectorAll('[data-zone-field]')) field.value = timeZone;

showTimes();
showPlotTimes();
setInterval(showTimes, 5_000);

// "/" goes to the search field.
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest('input, select, textarea')) return;
  const search = document.querySelector('input[type="search"]');
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});
