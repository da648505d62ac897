// Completion of an expression: a list below the field; arrow keys choose, Enter or Tab inserts, Escape closes.

const { ask } = await import(document.querySelector('script[src*="/console.js"]').src);

const pauseMs = 120;

/**
 * @param field - the control with the expression
 * @param path - where words for the text before the cursor are requested
 */
function completeIn(field, path) {
  const list = document.createElement('ul');
  list.id = 'completions';
  list.className = 'completions';
  list.setAttribute('role', 'listbox');
  list.setAttribute('aria-label', 'Completions');
  list.hidden = true;
  field.after(list);
  for (const [name, value] of [
    ['role', 'combobox'],
    ['aria-autocomplete', 'list'],
    ['aria-controls', list.id],
    ['aria-expanded', 'false'],
    ['autocomplete', 'off'],
  ])
    field.setAttribute(name, value);
  let length = 0;
  let asked = 0;
  let timer;

  const chosen = () => list.querySelector('[aria-selected="true"]');
  const before = () => field.value.slice(0, field.selectionStart);

  function close() {
    asked += 1;
    clearTimeout(timer);
    list.hidden = true;
    field.setAttribute('aria-expanded', 'false');
    field.removeAttribute('aria-activedescendant');
  }

  function choose(item) {
    chosen()?.setAttribute('aria-selected', 'false');
    item.setAttribute('aria-selected', 'true');
    field.setAttribute('aria-activedescendant', item.id);
  }

  function insert(item) {
    const end = field.selectionStart;
    field.setRangeText(item.textContent, end - length, end, 'end');
    close();
    field.dispatchEvent(new Event('input', { bubbles: true }));
    field.dispatchEvent(new Event('completed'));
    field.focus();
  }

  async function offer() {
    asked += 1;
    const mine = asked;
    const found = await ask('POST', path, { before: before() }).catch(() => ({ length: 0, words: [] }));
    if (mine !== asked) return;
    if (found.words.length === 0) return void close();
    length = found.length;
    list.replaceChildren(
      ...found.words.map((word, index) => {
        const item = document.createElement('li');
        item.id = `completion-${index}`;
        item.setAttribute('role', 'option');
        item.setAttribute('aria-selected', 'false');
        item.textContent = word;
        return item;
      }),
    );
    list.hidden = false;
    field.setAttribute('aria-expanded', 'true');
  }

  field.addEventListener('input', ({ isTrusted }) => {
    clearTimeout(timer);
    if (isTrusted) timer = setTimeout(offer, pauseMs);
  });
  field.addEventListener('keydown', (event) => {
    if (list.hidden) return;
    const items = [...list.children];
    const at = items.indexOf(chosen());
    if (event.key === 'Escape') close();
    else if (event.key === 'ArrowDown') choose(items[(at + 1) % items.length]);
    else if (event.key === 'ArrowUp') choose(items.at(at <= 0 ? -1 : at - 1));
    else if (event.key === 'Tab' && at < 0) insert(items[0]);
    else if ((event.key === 'Enter' || event.key === 'Tab') && at >= 0) insert(items[at]);
    else return;
    event.preventDefault();
  });
  field.addEventListener('blur', close);
  // Before the field loses the focus.
  list.addEventListener('mousedown', (event) => {
    event.preventDefault();
    const item = event.target.closest('[role="option"]');
    if (item) insert(item);
  });
}

for (const field of document.querySelectorAll('[data-complete]')) {
  completeIn(field.closest('form').elements['when'], field.dataset.complete);
}
