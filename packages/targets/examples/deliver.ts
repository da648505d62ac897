import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeStudy } from '@dicom-dispatch/samples';
import { TestDelivery, testStudy } from '@dicom-dispatch/target-kit/testing';
import { resolveTarget } from '@dicom-dispatch/targets';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

const path = await mkdtemp(join(tmpdir(), 'archive-'));
const { config, handler } = await resolveTarget('archive', targetSchemas.folder.parse({ type: 'folder', path }));

// Two synthetic instances; yours are read from files, with the UIDs in them.
const samples = [...makeStudy({ modality: 'CT', instancesPerSeries: 2, rows: 64, columns: 64 })];
const study = testStudy(
  samples.map(({ bytes }) => bytes),
  (index) => ({ ...samples[index], sourceId: `file-${index}` }),
);

// One delivery with its ledger in memory. The dispatcher stores it in Redis, and applies the retry rules.
const delivery = new TestDelivery(handler, study);
const { error, stages, reported } = await delivery.attempt(config);
console.log(error?.message, stages.join(' '), [...reported.values()].map(({ kind }) => kind).join(' '));

// Nothing that has arrived is sent again.
console.log((await delivery.attempt(config)).opened.length);

const files = await readdir(path, { recursive: true });
console.log(files.filter((name) => name.endsWith('.dcm')).length);
await rm(path, { recursive: true });
