/**
 * Deliveries against their peers: from Orthanc to each kind of target by the whole product (a dispatcher process, its queue
 * and its ledger), and by the programs that one would use instead, one after the other, with the same data and receivers.
 *
 *   ./dispatch bench delivery --help
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLongCommand } from '@dicom-dispatch/harness';
import { makeDeliverySet, type DeliverySet } from './delivery-sets.ts';
import { measureDeliveries, ours, type Row } from './delivery-scene.ts';
import { kinds, type Kind } from './delivery-kinds.ts';
import type { LinkQuality } from './link.ts';
import { describeMachine, table, writeSection } from './report.ts';

const choices = {
  sets: ['small', 'ct', 'large'],
  links: ['near', 'far', 'narrow'],
  modes: ['nodelay', 'default'],
} as const;
const { values } = readLongCommand({
  usage: './dispatch bench delivery',
  about:
    'Deliveries against their peers: from Orthanc to each kind of target by the whole product, and by the programs that one would use instead, with the same data and receivers.',
  options: {
    quick: { type: 'boolean', about: 'small sets, one round' },
    kinds: { type: 'list', of: Object.keys(kinds) as Kind[], about: 'kinds of target' },
    sets: { type: 'list', of: choices.sets, about: 'sets of instances' },
    links: { type: 'list', of: choices.links, about: 'loopback, 20 ms of round trip, 100 Mbit/s' },
    modes: { type: 'list', of: choices.modes, about: "the peers without and with Nagle's algorithm" },
    runs: { type: 'number', about: 'rounds of each measurement; default 3, with --quick 1' },
    data: {
      type: 'string',
      default: join(tmpdir(), 'dicom-dispatch-bench'),
      about: 'folder of the instances, which are kept',
    },
    'no-peers': { type: 'boolean', about: 'measure this product only' },
    write: { type: 'boolean', about: 'write the result into docs/performance.md' },
  },
});
const isQuick = values.quick;
const runs = values.runs ?? (isQuick ? 1 : 3);
const sizes: Readonly<Record<string, readonly [count: number, sizeBytes: number]>> = isQuick
  ? { small: [400, 20_000], ct: [100, 500_000], large: [2, 60_000_000] }
  : { small: [2_000, 20_000], ct: [500, 500_000], large: [4, 200_000_000] };
const links: Readonly<
  Record<
    (typeof choices.links)[number],
    { readonly title: string; readonly quality?: LinkQuality; readonly count: number }
  >
> = {
  near: { title: 'loopback', count: 0 },
  far: { title: 'round trip of 20 ms', quality: { delayMs: 10, bytesPerSecond: 0 }, count: isQuick ? 60 : 500 },
  narrow: {
    title: '100 Mbit/s, round trip of 4 ms',
    quality: { delayMs: 2, bytesPerSecond: 12_500_000 },
    count: isQuick ? 20 : 500,
  },
};
const wanted = values.kinds;
const versions = await describeMachine(['Redis', 'Orthanc', 'DCMTK', 'OpenSSH', 'rclone', 's3cmd', 'coreutils']);
/** The command line, without the kinds, each of which has its own table. */
const others = [
  ...(isQuick ? ['--quick'] : []),
  ...(['sets', 'links', 'modes'] as const).flatMap((name) =>
    values[name].length === choices[name].length ? [] : [`--${name}`, values[name].join()],
  ),
  ...(values.runs === undefined ? [] : ['--runs', String(values.runs)]),
];

for (const kind of wanted) {
  const text = await measureKind(kind);
  console.log(text);
  if (values.write) await writeSection('performance.md', `delivery ${kind}`, text);
}

/** All sets and links to one kind of target. */
async function measureKind(kind: Kind): Promise<string> {
  const startedAt = Date.now();
  const parts: string[] = [];
  for (const link of values.links) {
    const { title, quality, count } = links[link];
    if (quality && !kinds[kind].isRemote) continue;
    for (const name of quality ? ['ct'] : values.sets) {
      const [all, sizeBytes] = sizes[name] ?? [1, 1_000];
      await measure(title, await makeDeliverySet(values.data, quality ? count : all, sizeBytes), quality, false);
    }
  }
  if (kind === 'dicom' && values.modes.includes('default') && values.links.includes('near')) {
    const set = await makeDeliverySet(values.data, isQuick ? 60 : 200, 500_000);
    await measure("loopback, the peers with Nagle's algorithm (DCMTK's default)", set, undefined, true);
  }
  const command = ['./dispatch bench delivery --kinds', kind, ...others].join(' ');
  const took = Math.round((Date.now() - startedAt) / 60_000);
  const times = runs > 1 ? `Medians of ${runs} runs; runs of more than 10 s were run once.` : 'One run each.';
  return [`\`${command}\`: ${versions} ${times} Took ${took} min.`, ...parts].join('\n\n');

  async function measure(
    title: string,
    set: DeliverySet,
    quality: LinkQuality | undefined,
    nagle: boolean,
  ): Promise<void> {
    const rows = await measureDeliveries({
      set,
      kinds: [kind],
      quality,
      runs: nagle ? 1 : runs,
      nagle,
      peers: !values['no-peers'],
      log: (line) => console.error(`${title}, ${set.title}: ${line}`),
    });
    parts.push(`${set.title}, ${title}:`, render(rows, set.bytes));
  }
}

function render(rows: readonly Row[], bytes: number): string {
  return table(
    ['sender', 's', 'MB/s', 'CPU s', 'peak MB', 'REST ×', 'folder ×'],
    rows.map((row) => {
      const ratioTo = (sender: string): string => {
        const own = rows.find((one) => one.sender === sender && one.kind === row.kind);
        const ratio = own && !row.isOurs ? row.seconds / own.seconds : undefined;
        if (ratio === undefined) return '';
        return ratio < 1 ? `${ratio.toFixed(2)} (peer wins)` : ratio.toFixed(2);
      };
      return [
        row.isOurs ? `**${row.sender}**` : row.sender,
        row.seconds.toFixed(2),
        (bytes / 1e6 / row.seconds).toFixed(0),
        row.cpuSeconds?.toFixed(2) ?? '',
        row.peakBytes === undefined ? '' : (row.peakBytes / 1e6).toFixed(0),
        ratioTo(ours.rest),
        ratioTo(ours.disk),
      ];
    }),
  );
}
