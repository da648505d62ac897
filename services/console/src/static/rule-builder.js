// The builder of a rule: keeps conditions and expression equivalent, and evaluates them for the last studies.

const { ask } = await import(document.querySelector('script[src*="/console.js"]').src);

const pauseMs = 400;
const builder = document.querySelector('[data-builder]');
const rows = builder.querySelector('[data-rows]');
const beyond = builder.querySelector('[data-beyond]');
const expression = document.querySelector('[name="when"]');
const place = document.querySelector('[data-tried]');
const of = (row, name) => row.querySelector(`[name="${name}"]`);
let asked = 0;
let timer;

function conditions() {
  return [...rows.querySelectorAll('[data-row]')].map((row) => ({
    subject: of(row, 'subject').value,
    operator: of(row, 'operator').value,
    value: of(row, 'value').value,
  }));
}

function addRow({ subject = 'modality', operator = 'is', value = '' } = {}) {
  const row = builder.querySelector('template').content.firstElementChild.cloneNode(true);
  const choice = of(row, 'subject');
  if (![...choice.options].some((one) => one.value === subject)) choice.append(new Option(subject, subject));
  choice.value = subject;
  of(row, 'operator').value = operator;
  of(row, 'value').value = value;
  rows.append(row);
  return row;
}

function show(read) {
  beyond.hidden = read !== undefined;
  rows.replaceChildren();
  if (!read) return;
  of(builder, 'join').value = read.join;
  for (const one of read.conditions) addRow(one);
}

/** Requests the result of an expression, or of conditions, for the last studies. */
async function tryIt(body, showsRows) {
  asked += 1;
  const mine = asked;
  try {
    const tried = await ask('POST', builder.dataset.try, body);
    if (mine !== asked) return;
    if (body.builder) {
      beyond.hidden = true;
      expression.value = tried.when;
      expression.dispatchEvent(new Event('input', { bubbles: true }));
    } else if (showsRows) show(tried.conditions);
    showResult(tried);
  } catch (error) {
    if (mine === asked) place.textContent = error.message;
  }
}

function showResult({ problem, untried, studies, matches, examples }) {
  const head = document.createElement('p');
  head.textContent = problem ?? untried ?? `matches ${matches} of ${builder.dataset.studies.replace('#', studies)}`;
  const list = document.createElement('ul');
  for (const { source, orthancStudyId, studyInstanceUid, matched, because } of examples.slice(0, 10)) {
    const item = document.createElement('li');
    const link = document.createElement(builder.dataset.hasPages === undefined ? 'span' : 'a');
    if (link.href !== undefined)
      link.href = `/studies/${encodeURIComponent(source)}/${encodeURIComponent(orthancStudyId)}`;
    link.textContent = studyInstanceUid;
    item.append(`${matched ? '✓' : '–'} `, link, ` ${because}`);
    list.append(item);
  }
  place.replaceChildren(head, ...markOf(problem), ...(examples.length > 0 ? [list] : []));
}

/** The line of the expression that has a problem, with a mark below its column. */
function markOf(problem) {
  const [, line, column] = /^line (\d+), column (\d+): /.exec(problem ?? '') ?? [];
  const text = line === undefined ? undefined : expression.value.split('\n')[line - 1];
  if (text === undefined) return [];
  const mark = document.createElement('pre');
  mark.className = 'code';
  mark.dataset.mark = column;
  mark.textContent = `${text}\n${' '.repeat(column - 1)}^`;
  return [mark];
}

const later = (act) => {
  clearTimeout(timer);
  timer = setTimeout(act, pauseMs);
};
const tryRows = () => later(() => tryIt({ builder: { join: of(builder, 'join').value, conditions: conditions() } }));

builder.addEventListener('input', tryRows);
builder.addEventListener('click', ({ target }) => {
  if (target.closest('[data-add-row]')) of(addRow(), 'value').focus();
  else if (target.closest('[data-drop-row]')) {
    target.closest('[data-row]').remove();
    tryRows();
  }
});
const tryExpression = () => later(() => tryIt({ when: expression.value }, true));
expression.addEventListener('input', ({ isTrusted }) => {
  if (isTrusted) tryExpression();
});
expression.addEventListener('completed', tryExpression);
void tryIt({ when: expression.value }, true);
