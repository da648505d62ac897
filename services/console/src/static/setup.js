// The end of the first start: the file is written, then the services start at the address of this page.

const { ask } = await import(document.querySelector('script[src*="/console.js"]').src);

const pauseMs = 300;
const place = document.getElementById('start-error');

async function untilReady(path) {
  for (;;) {
    const answer = await fetch(path).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-start]');
  if (!button) return;
  button.disabled = true;
  place.textContent = '';
  try {
    const { next, ready } = await ask('POST', '/setup/start', {});
    button.textContent = 'Starting …';
    const late = setTimeout(() => {
      place.textContent = 'The services have not started yet: see the output of "dispatch up" for the reason.';
    }, 30_000);
    await untilReady(ready);
    clearTimeout(late);
    location.assign(next);
  } catch (error) {
    place.textContent = error.message;
    button.disabled = false;
  }
});
