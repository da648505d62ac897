// Changes the page of Bull Board: adds names to buttons that are only icons, and hides buttons that this console rejects.

/** Names of icons, by the beginning of their first path; undefined for actions that are rejected. */
const icons = new Map([
  ['M8 3H5a2', 'Full screen'],
  ['M9.671 4.136', 'Settings'],
  ['M3 12a9 9 0 0 1 9-9', 'Retry'],
  ['M10 11v6', 'Remove'],
  ['M20 20v-7', 'Promote'],
  ['M12 6v6l4 2', 'Change delay'],
  ['m21 16-4 4', 'Change priority'],
  ['M4 16c-1.1', 'Copy'],
  // Duplicate, change the data, remove unprocessed children.
  ['M15 2h-4', undefined],
  ['M21.174 6.812', undefined],
  ['M16 5H3', undefined],
]);
const refused = new Set(['Add job', 'Empty', 'Obliterate', 'Clean all']);

function tidy() {
  for (const button of document.querySelectorAll('#root button:not([aria-label])')) {
    if (button.textContent.trim() !== '') continue;
    const drawn = button.querySelector('svg path')?.getAttribute('d') ?? '';
    const icon = [...icons.keys()].find((start) => drawn.startsWith(start));
    if (icon !== undefined && icons.get(icon) === undefined) button.hidden = true;
    else button.setAttribute('aria-label', icons.get(icon) ?? 'More');
  }
  for (const item of document.querySelectorAll('[role="menuitem"], [role="menu"] button, #root li > button')) {
    if (refused.has(item.textContent.trim())) item.hidden = true;
  }
  // The banner landmark of the page is the header of the console.
  for (const bar of document.querySelectorAll('#root header:not([role])')) bar.setAttribute('role', 'presentation');
  for (const image of document.querySelectorAll('#root img[src$="logo.svg"]:not([alt=""])')) image.alt = '';
}

new MutationObserver(tidy).observe(document.body, { childList: true, subtree: true });
tidy();
