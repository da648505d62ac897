// Pages that change the configuration: messages at the fields during input, a test before saving, apply.

const consoleScript = document.querySelector('script[src*="/console.js"]').src;
const { ask, notice, noticeAfterLoad, showChecks } = await import(consoleScript);

const pauseMs = 300;
const form = document.querySelector('form[data-entry-form]');
const nameOf = () => form.querySelector('[data-name]').value.trim();
const address = (act) => `${form.dataset.entryForm}/${encodeURIComponent(nameOf() || 'new')}${act}`;

/** Values of the form: text by dotted path. */
function read() {
  const values = {};
  for (const field of form.elements) {
    if (field.name && field.dataset.name === undefined && !field.closest('[data-builder]'))
      values[field.name] = field.value;
  }
  for (const box of form.querySelectorAll('[data-remove-secret]:checked'))
    values[box.dataset.removeSecret] = '\u0000remove';
  return { was: form.dataset.was || undefined, type: form.dataset.type, values };
}

const wordsOf = ({ field, message }, shownAt) => (field === shownAt ? message : `${field}: ${message}`);

/** The field that shows a problem: its own field, or that of the map that contains it, e.g. `set` for `set.PatientNam`. */
function fieldOf(problem, fields) {
  const inside = fields.filter((field) => problem.field === field || problem.field.startsWith(`${field}.`));
  return inside.sort((a, b) => b.length - a.length)[0] ?? '';
}

/** Shows problems at their fields; those without a field are shown above the buttons. */
function showProblems(problems) {
  const places = [...form.querySelectorAll('[data-error-of]')];
  const fields = places.map((place) => place.dataset.errorOf).filter((field) => field !== '');
  for (const place of places) {
    const field = place.dataset.errorOf;
    const mine = problems.filter((one) => fieldOf(one, fields) === field);
    place.textContent = mine.map((one) => wordsOf(one, field)).join('; ');
    if (field === '') continue;
    form.elements[field]?.setAttribute?.('aria-invalid', String(mine.length > 0));
    if (mine.length > 0) place.closest('details')?.setAttribute('open', '');
  }
}

let timer;
let asked = 0;

async function check() {
  asked += 1;
  const mine = asked;
  const { problems } = await ask('POST', address('/check'), read());
  if (mine === asked) showProblems(problems);
  return problems;
}

if (form) {
  form.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => check().catch((error) => notice(error.message, { isBad: true })), pauseMs);
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const button = event.submitter;
    button.disabled = true;
    try {
      if ((await check()).length > 0) return;
      const place = form.querySelector('[data-place-question] select')?.value || undefined;
      const told = await ask('PUT', address(''), { ...read(), seen: form.dataset.seen || undefined, place });
      if (told?.passed === false) showChecks(document.getElementById('test-result'), told);
      else location.assign(form.dataset.next ?? '/configuration');
    } catch (error) {
      notice(error.message, { isBad: true });
    } finally {
      button.disabled = false;
    }
  });
  form.querySelector('[data-form-test]')?.addEventListener('click', async ({ target: button }) => {
    const place = document.getElementById(button.dataset.formTest);
    button.disabled = true;
    place.textContent = 'Testing …';
    try {
      if ((await check()).length > 0) place.textContent = 'Correct the errors first.';
      else showChecks(place, await ask('POST', address('/test'), read()));
    } catch (error) {
      place.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}

const textOf = (other, name) => other.elements[name]?.value;

/** Forms that open another page after they were sent. */
document.addEventListener('submit', async (event) => {
  const other = event.target;
  const { apply, remove, yaml } = other.dataset;
  if (!apply && !remove && !yaml) return;
  event.preventDefault();
  event.submitter.disabled = true;
  try {
    if (apply) {
      const body = { ...JSON.parse(other.dataset.body ?? '{}'), reason: textOf(other, 'reason') };
      const { words } = await ask('POST', apply, body);
      noticeAfterLoad(words.join(' '));
    } else if (remove) {
      const waiting = textOf(other, 'waiting');
      await ask('POST', remove, { waiting, to: waiting === 'move' ? textOf(other, 'to') : undefined });
    } else {
      await ask('PUT', yaml, { text: textOf(other, 'text'), seen: other.dataset.seen });
    }
    location.assign('/configuration');
  } catch (error) {
    notice(error.message, { isBad: true });
    event.submitter.disabled = false;
  }
});

const list = (names) => names.join(', ') || 'none';

/** The result of the changed rules as text, one line each. */
function previewLines({ untried, priors, priorsUnknown, priorsNotes, byTarget, examples, ...counts }) {
  if (untried) return [untried];
  const { studies, isWhole, same, differs, unknown } = counts;
  return [
    `Studies: ${studies}${isWhole ? '' : ' (the newest; there are more)'}. Same targets: ${same}. Other targets: ${differs}. Unknown, since they cannot be read in their source: ${unknown}.`,
    ...byTarget.map(({ target, added, removed }) => `${target}: ${added} more studies, ${removed} fewer`),
    ...priors.map(
      (one) =>
        `${one.target}, earlier studies of the patients: ${one.priors}, with ${one.studies} of these studies (${one.added} more, ${one.removed} fewer than then)`,
    ),
    ...(priorsUnknown > 0 ? [`Earlier studies were not searched for ${priorsUnknown} of these studies.`] : []),
    ...priorsNotes.map(({ note, studies: count }) => `Earlier studies, for ${count} of these studies: ${note}`),
    ...examples.slice(0, 10).flatMap(exampleLines),
  ];
}

function exampleLines({ studyInstanceUid, before, after, priors = [] }) {
  return [
    `${studyInstanceUid}: ${list(before)} → ${list(after)}`,
    ...priors.flatMap(({ target, chosen, removed }) => [
      ...chosen.map((one) => `… with ${one.studyInstanceUid} from ${one.from} to ${target} (${one.why})`),
      ...removed.map((uid) => `… no longer with ${uid} to ${target}`),
    ]),
  ];
}

/** Shows the result of the changed rules for the studies of the last 7 days. */
document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-preview]');
  if (!button) return;
  const place = document.getElementById(button.dataset.preview);
  button.disabled = true;
  place.textContent = 'Evaluating the studies of the last 7 days …';
  try {
    const preview = await ask('POST', '/api/configuration/draft/preview', { days: 7 });
    const lines = previewLines(preview);
    place.replaceChildren(
      ...lines.map((line) => {
        const text = document.createElement('p');
        text.textContent = line;
        return text;
      }),
    );
  } catch (error) {
    place.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});
