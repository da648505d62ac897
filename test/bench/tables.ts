/**
 * The tables of docs/capacity.md, of deliveries and flow in docs/performance.md, and of packages/dicom-dimse/BENCHMARKS.md, one
 * measurement after the other; takes about an hour, on an otherwise idle machine.
 *
 *   ./dispatch bench tables --help
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readLongCommand } from '@dicom-dispatch/harness';

const { values } = readLongCommand({
  usage: './dispatch bench tables',
  about:
    'The tables of docs/capacity.md, of deliveries and flow in docs/performance.md, and of packages/dicom-dimse/BENCHMARKS.md; about an hour, on an otherwise idle machine.',
  options: {
    quick: { type: 'boolean', about: 'a trial with small sets, not written' },
  },
});
/** Trial results are not written. */
const how = values.quick ? ['--quick'] : ['--write'];
const measurements: readonly (readonly string[])[] = [
  ['delivery', ...how],
  ['flow', ...how],
  ['dimse-send', ...(values.quick ? ['--sets', 'D', '--runs', '1', '--slow-runs', '1'] : how)],
  ['cache-memory', ...(values.quick ? ['--studies', '20'] : how)],
  ['cache', ...(values.quick ? ['--instances', '10'] : how)],
];

for (const [name = '', ...args] of measurements) {
  console.error(`./dispatch bench ${[name, ...args].join(' ')}`);
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
