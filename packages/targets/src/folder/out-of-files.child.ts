import { closeSync, openSync } from 'node:fs';
import { fixtureStudy } from '../contract-suite/fixture-study.ts';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { folderHandler } from './handler.ts';
import { folderTarget } from './schema.ts';

/**
 * Delivers a study in a process that cannot open files after the first instance, then again when it can. The process must be started
 * with a low limit of open files; the folder is the argument.
 */
const config = folderTarget.parse({ type: 'folder', path: process.argv[2], minFree: 0, maxParallel: 1 });
const delivery = new TestDelivery(folderHandler, fixtureStudy({ series: 1, instancesPerSeries: 4 }));
const held: number[] = [];
const { error, reported } = await delivery.attempt(config, {
  onReport() {
    try {
      for (;;) held.push(openSync('/dev/null', 'r'));
    } catch {
      // No file handles are left.
    }
  },
});
for (const file of held) closeSync(file);
const again = await delivery.attempt(config);
process.stdout.write(
  JSON.stringify({
    error: error?.toRecord(),
    disposition: error?.disposition,
    kinds: [...reported.values()].map(({ kind }) => kind),
    again: again.error?.toRecord(),
    pending: delivery.pending.length,
  }),
);
