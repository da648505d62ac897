import { DispatchError } from '@dicom-dispatch/core';
import { makeStudy, type SampleInstance, type StudyOptions } from '@dicom-dispatch/samples';
import type { ListedInstance } from '@dicom-dispatch/target-kit';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compareDataSets } from './compare-data-sets.ts';
import { ContentCheck, type Retrieve } from './content-check.ts';
import { ignoredTags } from './ignored-tags.ts';

const study = (more: StudyOptions = {}): SampleInstance[] => [
  ...makeStudy({ seed: 'contents', series: 1, instancesPerSeries: 4, rows: 16, columns: 16, ...more }),
];
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function* streamed(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000);
}

/** Entry of an instance in the ledger; by default the source has the sent content. */
function listed({ bytes, ...sample }: SampleInstance, more: Partial<ListedInstance> = {}): ListedInstance {
  return {
    instance: { ...sample, sizeBytes: bytes.length, sourceId: sample.sopInstanceUid, version: '1' },
    sizeBytes: bytes.length,
    answer: undefined,
    sentSha256: sha256(bytes),
    sha256: async () => sha256(bytes),
    open: async () => ({ sizeBytes: bytes.length, body: streamed(bytes) }),
    ...more,
  };
}

const gone = async () => {
  throw new DispatchError('source-gone', 'the study is gone');
};
const [first, second, third] = study() as [SampleInstance, SampleInstance, SampleInstance];

describe('comparing received with sent content', () => {
  const compare = async (bytes: Buffer, instance = listed(first), ignore: readonly string[] = []) =>
    compareDataSets(instance, streamed(bytes), await ignoredTags(ignore));

  it('accepts the bytes of the receipt, without querying the source', async () => {
    expect(await compare(first.bytes, listed(first, { open: gone }))).toEqual({ content: 'same' });
  });

  it('accepts the same content in another uncompressed transfer syntax, and with other file meta information', async () => {
    const [implicit] = study({ transferSyntax: 'implicit-le' });
    expect(await compare(implicit!.bytes)).toEqual({ content: 'same' });
    const meta = Buffer.from(first.bytes);
    meta.write('Another preamble', 0, 'latin1');
    expect(await compare(meta)).toEqual({ content: 'same' });
  });

  it('names differing elements without their values', async () => {
    const pixels = Buffer.from(first.bytes);
    pixels.writeUInt8(pixels.readUInt8(pixels.length - 9) ^ 0xff, pixels.length - 9);
    expect(await compare(pixels)).toEqual({ content: 'different', detail: 'differs in PixelData' });
    const [renamed] = study({ attributes: { PatientName: 'Other^Name', InstitutionName: 'Elsewhere' } });
    const found = await compare(renamed!.bytes);
    expect(found.content).toBe('different');
    expect(found.detail).toMatch(/InstitutionName/);
    expect(found.detail).toMatch(/differs in .*PatientName/);
    expect(found.detail).not.toMatch(/Other|Elsewhere/);
    expect(await compare(renamed!.bytes, listed(first), ['PatientName', '0008,0080'])).toEqual({ content: 'same' });
    expect((await compare(second.bytes)).detail).toMatch(/SOPInstanceUID/);
  });

  it('distinguishes truncated data from data that are not a data set', async () => {
    const words = 'the retrieved data set ends early or is damaged, at PixelData';
    expect(await compare(first.bytes.subarray(0, -20))).toEqual({ content: 'different', detail: words });
    const html = Buffer.from('<html>please sign in</html>');
    expect(await compare(html)).toMatchObject({
      content: 'different',
      detail: expect.stringMatching(/cannot be read|damaged/),
    });
  });

  it('does not judge where the source no longer has what was sent', async () => {
    const [changed] = study({ attributes: { PatientName: 'Other^Name' } });
    expect(await compare(changed!.bytes, listed(first, { open: gone }))).toEqual({
      content: undefined,
      detail: 'the source no longer has it',
    });
    const another = listed(first, { sentSha256: sha256(Buffer.from('what was sent')) });
    expect(await compare(changed!.bytes, another)).toEqual({
      content: undefined,
      detail: 'the source no longer has what was sent',
    });
    expect(await compare(first.bytes, another)).toEqual({ content: 'same' });
  });
});

describe('an instance that the source cannot provide', () => {
  const unreadable = ['source-instance-failed', 'source-bytes-wrong', 'instance-unsupported', 'transform-incomplete'];
  const failing = (code: string): DispatchError => new DispatchError(code as 'source-error', 'the file is damaged');

  it.each(unreadable)('is not compared, and does not prevent others: %s', async (code) => {
    const uncompared = { content: undefined, detail: 'the source cannot provide it' };
    const open = async () => Promise.reject(failing(code));
    const retrieved = () => streamed(second.bytes);
    expect(await compareDataSets(listed(first, { open }), retrieved())).toEqual(uncompared);
    // The guard of the source detects wrong bytes at the end of a file.
    async function* body(): AsyncGenerator<Uint8Array> {
      yield first.bytes.subarray(0, 1_000);
      throw failing(code);
    }
    const late = listed(first, { open: async () => ({ sizeBytes: first.bytes.length, body: body() }) });
    expect(await compareDataSets(late, retrieved())).toEqual(uncompared);
    expect(await compareDataSets(listed(first, { open }), streamed(first.bytes))).toEqual({ content: 'same' });
  });

  it('is asked for again if the source fails as a whole', async () => {
    const open = async () => Promise.reject(failing('source-error'));
    await expect(compareDataSets(listed(first, { open }), streamed(second.bytes))).rejects.toMatchObject({
      code: 'source-error',
    });
  });
});

describe('retrieving', () => {
  const ill = new DispatchError('target-error', 'status A702H');
  /** A target that sends requested instances, except for some. */
  function checkOf(
    fails: (instance: ListedInstance) => boolean,
    { error = ill, elsewhere = [] }: { error?: DispatchError; elsewhere?: readonly ListedInstance[] } = {},
  ) {
    const asked: string[] = [];
    const retrieve: Retrieve = async (instance, use) => {
      asked.push(instance.instance.sopInstanceUid);
      if (fails(instance)) throw error;
      const bytes = [first, second, third].find(({ sopInstanceUid }) => sopInstanceUid === asked.at(-1))!.bytes;
      return use(streamed(bytes));
    };
    async function* others(): AsyncGenerator<ListedInstance> {
      yield* elsewhere;
    }
    return { check: new ContentCheck(retrieve, { config: {}, others }), asked };
  }
  const [one, two, three] = [first, second, third].map((sample) => listed(sample)) as [
    ListedInstance,
    ListedInstance,
    ListedInstance,
  ];

  it('finds an instance different that is missing while another one is returned', async () => {
    const { check, asked } = checkOf((instance) => instance === one);
    expect(await check.compare(one, [one, two])).toEqual({
      content: 'different',
      detail: 'cannot be retrieved: status A702H',
    });
    expect(asked).toEqual([one, one, two].map(({ instance }) => instance.sopInstanceUid));
    expect(await check.compare(three, [one, two, three])).toEqual({ content: 'same' });
  });

  it('requests instances of other studies if the study has no other one', async () => {
    const { check, asked } = checkOf((instance) => instance === one || instance === two, {
      elsewhere: [one, two, three],
    });
    expect(await check.compare(one, [one])).toMatchObject({ content: 'different' });
    expect(asked).toEqual([one, one, two, three].map(({ instance }) => instance.sopInstanceUid));
  });

  it('reports no difference at a target that returns none, and soon stops requesting', async () => {
    const { check, asked } = checkOf(() => true);
    const all = [one, two, three];
    for (const instance of all) {
      expect(await check.compare(instance, all)).toEqual({
        content: undefined,
        detail: 'it could not be retrieved: status A702H',
      });
    }
    const before = asked.length;
    expect((await check.compare(one, all)).content).toBeUndefined();
    expect(asked.length).toBe(before);
  });

  it('reports no difference if no other instance of its kind is returned', async () => {
    const ofClass = (sample: SampleInstance, sopClassUid: string | undefined, study?: string) => {
      const known = listed(sample);
      const { instance } = known;
      return { ...known, instance: { ...instance, sopClassUid, studyInstanceUid: study ?? instance.studyInstanceUid } };
    };
    const report = '1.2.840.10008.5.1.4.1.1.88.11';
    const isReport = ({ instance }: ListedInstance) => instance.sopClassUid !== first.sopClassUid;
    const { check, asked } = checkOf(isReport, { elsewhere: [two, three] });
    const uncompared = { content: undefined, detail: 'it could not be retrieved: status A702H' };
    expect(await check.compare(one, [one, two])).toEqual({ content: 'same' });
    for (const sopClassUid of [report, undefined]) {
      const another = ofClass(second, sopClassUid);
      expect(await check.compare(another, [one, another, three])).toEqual(uncompared);
    }
    // Another instance of its SOP class arrives, in another transfer syntax.
    const { check: other } = checkOf((instance) => instance === one);
    const compressed = { ...two, instance: { ...two.instance, transferSyntaxUid: '1.2.840.10008.1.2.4.70' } };
    expect(await other.compare(compressed, [compressed])).toEqual({ content: 'same' });
    expect(await other.compare(one, [one, compressed])).toEqual(uncompared);
    // After three failures of a kind, only one instance of each study is requested.
    for (const study of ['1.2.1', '1.2.2', '1.2.3', '1.2.3']) await check.compare(ofClass(third, report, study), []);
    const before = asked.length;
    for (let count = 0; count < 3; count += 1) {
      const of = [ofClass(second, report, '1.2.4'), ofClass(third, report, '1.2.4')];
      expect((await check.compare(of[count % 2]!, of)).content).toBeUndefined();
    }
    // The instance, and the control that shows that the target sends others.
    expect(asked.slice(before)).toEqual([second.sopInstanceUid, first.sopInstanceUid]);
  });

  it('asks a target again that has returned none, with the next study', async () => {
    let isDown = true;
    const { check } = checkOf((instance) => isDown || instance === one);
    const all = [one, two, three];
    for (const instance of [...all, one]) expect((await check.compare(instance, all)).content, 'down').toBeUndefined();
    isDown = false;
    expect((await check.compare(two, all)).content).toBeUndefined();
    const later = all.map((known) => ({ ...known, instance: { ...known.instance, studyInstanceUid: '1.2.3' } }));
    expect(await check.compare(later[1]!, later)).toEqual({ content: 'same' });
    expect(await check.compare(one, all)).toMatchObject({ content: 'different' });
  });

  it('ends if a target fails that has returned others before, or cannot be queried', async () => {
    let isDown = false;
    const { check } = checkOf(() => isDown);
    expect(await check.compare(one, [one, two])).toEqual({ content: 'same' });
    isDown = true;
    await expect(check.compare(two, [one, two])).rejects.toBe(ill);
    const busy = new DispatchError('target-busy', 'too many requests');
    await expect(checkOf(() => true, { error: busy }).check.compare(one, [one])).rejects.toBe(busy);
  });
});
