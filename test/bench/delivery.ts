/**
 * Deliveries against their peers: from Orthanc to each kind of target by the whole product (a dispatcher process, its queue
 * and its ledger), and by what one would use instead, in turn and on the same data and receivers.
 *
 *   ./dispatch bench delivery [--quick] [--kinds dicom,dicomweb,sftp,s3,folder] [--sets small,ct,large]
 *     [--links near,far,narrow] [--runs 3] [--data FOLDER] [--write]
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeDeliverySet } from './delivery-sets.ts';
import { measureDeliveries, type Row } from './delivery-scene.ts';
import { kinds, type Kind } from './delivery-kinds.ts';
import type { LinkQuality } from './link.ts';
import { describeMachine, table, writeSection } from './report.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    kinds: { type: 'string', default: Object.keys(kinds).join(',') },
    sets: { type: 'string', default: 'small,ct,large' },
    links: { type: 'string', default: 'near,far,narrow' },
    modes: { type: 'string', default: 'nodelay,default' },
    runs: { type: 'string' },
    data: { type: 'string', default: join(tmpdir(), 'dicom-dispatch-bench') },
    write: { type: 'boolean', default: false },
  },
});
const isQuick = values.quick;
const runs = Number(values.runs ?? (isQuick ? 1 : 3));
const sizes: Readonly<Record<string, readonly [count: number, sizeBytes: number]>> = isQuick
  ? { small: [400, 20_000], ct: [100, 500_000], large: [2, 60_000_000] }
  : { small: [2_000, 20_000], ct: [500, 500_000], large: [4, 200_000_000] };
const links: Readonly<
  Record<string, { readonly title: string; readonly quality?: LinkQuality; readonly count: number }>
> = {
  near: { title: 'loopback', count: 0 },
  far: { title: 'round trip of 20 ms', quality: { delayMs: 10, bytesPerSecond: 0 }, count: isQuick ? 60 : 200 },
  narrow: {
    title: '100 Mbit/s, round trip of 4 ms',
    quality: { delayMs: 2, bytesPerSecond: 12_500_000 },
    count: isQuick ? 20 : 100,
  },
};
const wanted = values.kinds.split(',') as Kind[];
const startedAt = Date.now();
const parts: string[] = [];

for (const link of values.links.split(',')) {
  const { title, quality, count } = links[link] ?? { title: link, count: 0 };
  for (const name of quality ? ['ct'] : values.sets.split(',')) {
    const [all, sizeBytes] = sizes[name] ?? [1, 1_000];
    const set = await makeDeliverySet(values.data, quality ? count : all, sizeBytes);
    const rows = await measureDeliveries({
      set,
      kinds: wanted.filter((kind) => !quality || kinds[kind].isRemote),
      quality,
      runs,
      nagle: false,
      log: (line) => console.error(`${title}, ${set.title}: ${line}`),
    });
    parts.push(`#### ${set.title}, ${title}`, render(rows, set.bytes));
  }
}
if (values.modes.includes('default') && values.links.includes('near') && wanted.includes('dicom')) {
  const set = await makeDeliverySet(values.data, isQuick ? 60 : 200, 500_000);
  const rows = await measureDeliveries({
    set,
    kinds: ['dicom'],
    quality: undefined,
    runs: 1,
    nagle: true,
    log: (line) => console.error(`Debian's defaults, ${set.title}: ${line}`),
  });
  parts.push(
    `#### ${set.title}, loopback, the peers with Nagle's algorithm (DCMTK's default)`,
    render(rows, set.bytes),
  );
}

const flags = process.argv.slice(2).filter((flag) => flag !== '--write');
const text = [
  `\`./dispatch bench delivery${flags.length > 0 ? ` ${flags.join(' ')}` : ''}\`: ${await describeMachine(['Redis', 'Orthanc', 'DCMTK', 'OpenSSH', 'rclone', 's3cmd', 'coreutils'])} Took ${Math.round((Date.now() - startedAt) / 60_000)} min, medians of ${runs}${runs > 1 ? '; what takes longer than 10 s ran once' : ''}.`,
  '',
  'Ours is the product: a dispatcher process takes the delivery from its queue, reads from Orthanc over HTTP, writes each confirmation into the ledger, verifies; the time is that from the start of the delivery to its end in its record. A peer is timed as a whole process, Orthanc by its answer. **ours ×** is how many times faster ours is; below 1 the peer wins.',
  '',
  parts.join('\n\n'),
].join('\n');
console.log(text);
if (values.write) await writeSection('performance.md', 'delivery', text);

function render(rows: readonly Row[], bytes: number): string {
  return table(
    ['target', 'sender', 's', 'MB/s', 'CPU s', 'peak MB', 'ours ×'],
    rows.map((row) => {
      const ours = rows.find(({ kind, isOurs }) => isOurs && kind === row.kind);
      const ratio = ours && !row.isOurs ? row.seconds / ours.seconds : undefined;
      return [
        row.kind,
        row.isOurs ? '**dicom-dispatch**' : row.sender,
        row.seconds.toFixed(2),
        (bytes / 1e6 / row.seconds).toFixed(0),
        row.cpuSeconds?.toFixed(2) ?? '',
        row.peakBytes === undefined ? '' : (row.peakBytes / 1e6).toFixed(0),
        ratio === undefined ? '' : ratio < 1 ? `${ratio.toFixed(2)} (peer wins)` : ratio.toFixed(2),
      ];
    }),
  );
}
