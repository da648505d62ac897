import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { element, makeStudy, transferSyntaxes } from './index.ts';
import type { Modality, SampleInstance, TransferSyntax } from './index.ts';

const run = promisify(execFile);
const modalities: readonly Modality[] = ['CT', 'MR', 'CR', 'DX', 'US', 'SR', 'OT'];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dicom-dispatch-samples-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function store(instance: SampleInstance): Promise<string> {
  const file = join(folder, `${instance.sopInstanceUid}.dcm`);
  await writeFile(file, instance.bytes);
  return file;
}

/** DCMTK's output; fails if DCMTK reports an error. */
async function dump(instance: SampleInstance, ...options: string[]): Promise<string> {
  const { stdout, stderr } = await run('dcmdump', ['+L', ...options, await store(instance)], { maxBuffer: 2 ** 26 });
  expect(stderr).toBe('');
  return stdout;
}

test('makes the same bytes for the same seed and others for another', () => {
  const bytes = (seed: number): Buffer =>
    Buffer.concat([...makeStudy({ seed, painted: true })].map((one) => one.bytes));
  expect(bytes(7).equals(bytes(7))).toBe(true);
  expect(bytes(7).equals(bytes(8))).toBe(false);
});

test('names each instance once, under 2.25, and counts them', () => {
  const study = makeStudy({ series: 3, instancesPerSeries: 4, rows: 16, columns: 16 });
  const instances = [...study];
  expect(instances).toHaveLength(study.instanceCount);
  expect(new Set(instances.map((one) => one.sopInstanceUid)).size).toBe(12);
  expect(new Set(instances.map((one) => one.seriesInstanceUid))).toEqual(new Set(study.seriesInstanceUids));
  for (const { sopInstanceUid } of instances) expect(sopInstanceUid).toMatch(/^2\.25\.[1-9]\d{30,38}$/);
});

test.each(modalities)('DCMTK reads a %s', async (modality) => {
  const frames = modality === 'US' || modality === 'OT' ? 3 : 1;
  for (const instance of makeStudy({ modality, series: 2, instancesPerSeries: 1, frames, painted: true })) {
    const text = await dump(instance);
    expect(text).toContain(`(0002,0003) UI [${instance.sopInstanceUid}]`);
    expect(text).toContain(`(0008,0018) UI [${instance.sopInstanceUid}]`);
    expect(text).toContain(`(0008,0060) CS [${modality}]`);
    expect(text).toContain(`(0020,000d) UI [${instance.studyInstanceUid}]`);
  }
});

test.each(Object.keys(transferSyntaxes) as TransferSyntax[])('pixels are the same in %s', async (transferSyntax) => {
  for (const modality of ['CT', 'US'] as const) {
    const [plain] = makeStudy({ modality, instancesPerSeries: 1, painted: true });
    const [other] = makeStudy({ modality, instancesPerSeries: 1, transferSyntax, painted: true });
    expect(other!.transferSyntaxUid).toBe(transferSyntaxes[transferSyntax]);
    expect(await picture(other!)).toEqual(await picture(plain!));
  }
});

/** The first frame as DCMTK decodes it, 16 bits deep. */
async function picture(instance: SampleInstance): Promise<Buffer> {
  const file = await store(instance);
  await run('dcmj2pnm', ['+opw', '+Wm', file, `${file}.pgm`]);
  return readFile(`${file}.pgm`);
}

test('accepts attributes and private tags, in each character set', async () => {
  const [instance] = makeStudy({
    instancesPerSeries: 1,
    characterSet: 'ISO_IR 192',
    attributes: { PatientName: 'Sato^Hanako=佐藤^花子', PatientID: 'ID 1' },
    extraTags: [element(0x00090010, 'LO', 'MAKER'), element(0x00091001, 'LO', 'private')],
  });
  const text = await dump(instance!);
  expect(text).toContain('[Sato^Hanako=佐藤^花子]');
  expect(text).toContain('[ID 1]');
  expect(text).toMatch(/\(0009,1001\).*\[private\]/);
});

test('pixels of noise differ in each instance and keep to the bits stored', async () => {
  const bytes = [...makeStudy({ instancesPerSeries: 3 })].map((one) => one.bytes.subarray(-8192));
  expect(new Set(bytes.map((one) => one.toString('hex'))).size).toBe(3);
  for (const one of bytes) {
    for (let at = 0; at < one.length; at += 2) expect(one.readUInt16LE(at)).toBeLessThan(4096);
  }
});

test('reports modalities without frames', () => {
  expect(() => makeStudy({ modality: 'CT', frames: 2 })).toThrow('frames is 2 for CT');
});
