import type { TargetConfig } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import type { TargetHandler } from '@dicom-dispatch/target-kit';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { expectNoError, expectReadable } from './expectations.ts';
import { fixtureStudy, type FixtureInstance, type FixtureStudy } from './fixture-study.ts';
import { TestDelivery, type Attempt } from '@dicom-dispatch/target-kit/testing';

/** A new and empty place at a target, and how to read its content. */
export interface EmptyPlace {
  readonly config: Readonly<Record<string, unknown>>;
  /** The content at a path of the layout. */
  get(path: string): Promise<Buffer | undefined>;
  put(path: string, content: Buffer): Promise<void>;
  /** All paths there. */
  names(): Promise<readonly string[]>;
}

export interface PathContract<Config extends TargetConfig> {
  readonly name: string;
  readonly handler: TargetHandler<Config>;
  /** The option that has the template: `layout` or `key`. */
  readonly option: 'layout' | 'key';
  place(): Promise<EmptyPlace>;
}

const small = { series: 1, instancesPerSeries: 2, rows: 16, columns: 16 } as const;

/** The contract of every handler whose target has one content per path: one content never replaces another silently. */
export function pathContract<Config extends TargetConfig>({
  name,
  handler,
  option,
  place,
}: PathContract<Config>): void {
  describe(`${name} separates two contents with the same path`, () => {
    const parse = ({ config }: EmptyPlace, more: object = {}): Config => handler.schema.parse({ ...config, ...more });
    const deliver = async (
      study: FixtureStudy,
      config: Config,
      id = 'delivery',
    ): Promise<Attempt & { readonly study: FixtureStudy; readonly delivery: TestDelivery<Config> }> => {
      const delivery = new TestDelivery(handler, study, id);
      return { ...(await delivery.attempt(config)), study, delivery };
    };
    const flat = { [option]: '{SOPInstanceUID}.dcm' };

    it('of two patients with the same UIDs the second is quarantined, and the first is kept', async () => {
      const there = await place();
      const [first, second] = twoPatients('patients');
      expectNoError(await deliver(first, parse(there)));
      const late = await deliver(second, parse(there), 'other');
      expectConflicts(late, second.instances);
      await expectThere(there, first.instances);
      // A later attempt does not replace it either.
      const again = new TestDelivery(handler, second, 'other');
      expectConflicts({ ...(await again.attempt(parse(there))), study: second }, second.instances);
      await expectThere(there, first.instances);
    });

    it.each([
      ['the padding of an ID whose VR is UN', ['PAT-A', 'LO', ''], ['PAT-A', 'UN', '']],
      ['letters of another character set', ['\xc4', 'LO', 'ISO_IR 100'], ['\xc4', 'LO', 'ISO_IR 101']],
    ] as const)('two patients for Orthanc by %s are two', async (what, one, other) => {
      const there = await place();
      const [first, second] = [one, other].map(([id, vr, set]) => withPatient(what, id, vr, set));
      expectNoError(await deliver(first!, parse(there)));
      const late = await deliver(second!, parse(there), 'other');
      expectConflicts(late, second!.instances);
      await expectThere(there, first!.instances);
    });

    it('two studies that a transform has given one patient are two', async () => {
      const there = await place();
      const seed = 'anonymous';
      const study = fixtureStudy({ ...small, seed });
      const other = fixtureStudy({ ...small, seed, attributes: { StudyDescription: 'of another patient' } });
      expectNoError(await deliver(study, parse(there)));
      const delivery = new TestDelivery(handler, other, 'other');
      const asked: string[] = [];
      const canBeOlder = async ({ sopInstanceUid }: { readonly sopInstanceUid: string }): Promise<boolean> =>
        asked.push(sopInstanceUid) === 0;
      const late = await delivery.attempt(parse(there), { run: { canBeOlder } });
      expectConflicts({ ...late, study: other }, other.instances);
      await expectThere(there, study.instances);
      expect(asked.sort()).toEqual(other.instances.map(({ manifest }) => manifest.sopInstanceUid).sort());
    });

    it('of two simultaneous patients each path has one complete instance, and only its delivery is confirmed', async () => {
      const there = await place();
      const [first, second] = twoPatients('race', 8);
      const [one, other] = await Promise.all([deliver(first, parse(there)), deliver(second, parse(there), 'other')]);
      for (const [index, instance] of first.instances.entries()) {
        const uid = instance.manifest.sopInstanceUid;
        const kinds = [one.reported.get(uid)?.kind, other.reported.get(uid)?.kind];
        expect([...kinds].sort(), `${one.error?.message} ${other.error?.message}`).toEqual([
          'delivered',
          'quarantined',
        ]);
        await expectThere(there, [kinds[0] === 'delivered' ? instance : second.instances[index]!]);
      }
    });

    it('replaces them if configured', async () => {
      const there = await place();
      const [first, second] = twoPatients('told');
      expectNoError(await deliver(first, parse(there)));
      expectNoError(await deliver(second, parse(there, { onConflict: 'overwrite' }), 'other'));
      await expectThere(there, second.instances);
    });

    it('replaces an older version of the same instance: a study that was corrected in the source', async () => {
      const there = await place();
      const study = fixtureStudy({ ...small, seed: 'corrected' });
      const corrected = fixtureStudy({
        ...small,
        seed: 'corrected',
        attributes: { StudyDescription: 'corrected twice' },
      });
      expectNoError(await deliver(study, parse(there)));
      expectNoError(await deliver(corrected, parse(there), 'later'));
      await expectThere(there, corrected.instances);
    });

    it('confirms what is there with the same content, e.g. after a crash', async () => {
      const there = await place();
      const study = fixtureStudy({ ...small, seed: 'crash' });
      expectNoError(await deliver(study, parse(there), 'first'));
      const again = await deliver(study, parse(there), 'second');
      expectNoError(again);
      expect(again.delivery.pending).toEqual([]);
      await expectThere(there, study.instances);
    });

    it.each([
      ['nothing in it', () => Buffer.alloc(0), 'replaced'],
      ['the beginning of the instance', (whole: Buffer) => whole.subarray(0, 700), 'replaced'],
      ['text', () => Buffer.from('something else'), 'kept'],
      ['as many zeros', (whole: Buffer) => Buffer.alloc(whole.length), 'kept'],
      ['the instance and more', (whole: Buffer) => Buffer.concat([whole, Buffer.alloc(10)]), 'replaced'],
    ] as const)('a file with %s', async (what, make, becomes) => {
      const there = await place();
      const study = fixtureStudy({ ...small, instancesPerSeries: 1, seed: `file ${what}` });
      const [instance] = study.instances as [FixtureInstance];
      const content = make(await bytesOf(instance));
      const path = pathOf(instance);
      await there.put(path, content);
      const attempt = await deliver(study, parse(there));
      if (becomes === 'replaced') {
        expectNoError(attempt);
        await expectThere(there, study.instances);
      } else {
        expectConflicts(attempt, study.instances);
        expect(await there.get(path)).toEqual(content);
        expectNoError(await deliver(study, parse(there, { onConflict: 'overwrite' }), 'told'));
        await expectThere(there, study.instances);
      }
    });

    it('two instances of a study with one path are found before anything is sent', async () => {
      const there = await place();
      const study = fixtureStudy({ ...small, series: 2, seed: 'one path' });
      const [first, second, third, fourth] = study.instances as FixtureInstance[];
      // Series 1 with 12.3, and series 11 with 2.3.
      const odd = {
        ...study,
        instances: [named(first!, '12.3', '1.1'), named(second!, '2.3', '1.2'), third!, fourth!],
      };
      const series = new Map(study.tags.series);
      series.set('1.1', { SeriesNumber: '1' }).set('1.2', { SeriesNumber: '11' });
      const tags = { ...study.tags, series };
      const config = parse(there, { [option]: '{SeriesNumber}{SOPInstanceUID}.dcm' });
      const attempt = await deliver({ ...odd, tags }, config);
      expectNoError(attempt);
      const outcomes = [...attempt.reported.values()].map(({ kind }) => kind).sort();
      expect(outcomes).toEqual(['delivered', 'delivered', 'delivered', 'quarantined']);
      const refused = [...attempt.reported.values()].find(({ kind }) => kind === 'quarantined');
      expect(refused).toMatchObject({ error: { code: 'target-conflict' } });
      expect(attempt.opened).toHaveLength(3);
      expect((await there.names()).filter((path) => path.endsWith('.dcm'))).toHaveLength(3);
    });

    it('invalid UIDs have separate paths', async () => {
      const there = await place();
      const study = fixtureStudy({ ...small, instancesPerSeries: 7, seed: 'odd' });
      const uids = ['..', '...', '....', '1.2.', '1.2', ' 1.2', '1.2\0'];
      const instances = study.instances.map((instance, index) => named(instance, uids[index] ?? ''));
      const attempt = await deliver({ ...study, instances }, parse(there, flat));
      expectNoError(attempt);
      expect((await there.names()).filter((path) => path.endsWith('.dcm'))).toHaveLength(7);
      for (const instance of instances) {
        const path = renderTemplate(parseTemplate('{SOPInstanceUID}.dcm'), study.tags, instance.manifest);
        expect((await there.get(path))?.equals(await bytesOf(instance)), path).toBe(true);
      }
    });

    it('a marker does not replace that of another patient', async () => {
      const there = await place();
      const [first, second] = twoPatients('marker');
      const more = { marker: {}, [option]: '{PatientID}/{SOPInstanceUID}.dcm' };
      expectNoError(await deliver(first, parse(there, more)));
      const path = `${first.tags.studyInstanceUid}/complete.json`;
      const before = await there.get(path);
      const late = await deliver(second, parse(there, more), 'other');
      expect(late.error).toMatchObject({ code: 'target-conflict', stage: 'finalize' });
      expectReadable(late, second, there.config);
      expect(late.delivery.pending).toEqual([]);
      expect(await there.get(path)).toEqual(before);
      // The marker of the same study is updated when it has more instances.
      const grown = fixtureStudy({
        ...small,
        instancesPerSeries: 3,
        seed: 'marker',
        attributes: { PatientID: 'PAT-A' },
      });
      expectNoError(await deliver(grown, parse(there, more), 'grown'));
      expect(JSON.parse(String(await there.get(path)))).toMatchObject({ instances: { length: 3 } });
    });

    function expectConflicts(
      attempt: Attempt & { readonly study: FixtureStudy },
      instances: readonly FixtureInstance[],
    ) {
      expectNoError(attempt);
      for (const { manifest } of instances) {
        const outcome = attempt.reported.get(manifest.sopInstanceUid);
        expect(outcome).toMatchObject({ kind: 'quarantined', error: { code: 'target-conflict' } });
        const error = outcome?.kind === 'quarantined' ? outcome.error : undefined;
        expect(error?.message).toContain(manifest.sopInstanceUid);
        expectReadable({ ...attempt, error }, attempt.study, {});
      }
    }
  });
}

function twoPatients(seed: string, instancesPerSeries = 2): readonly [FixtureStudy, FixtureStudy] {
  const of = (PatientID: string): FixtureStudy =>
    fixtureStudy({ ...small, instancesPerSeries, seed, attributes: { PatientID } });
  return [of('PAT-A'), of('PAT-B')];
}

/** A study with a Patient ID as it is encoded: its bytes, VR and the character set of the file. */
function withPatient(seed: string, id: string, vr: 'LO' | 'UN', characterSet: string): FixtureStudy {
  const attributes = { PatientID: 'PATIENT-ID-X', SpecificCharacterSet: 'ISO_IR 192' };
  const study = fixtureStudy({ ...small, seed, attributes, transferSyntax: 'explicit-le' });
  const instances = study.instances.map((instance) => {
    const bytes = Buffer.concat([...(instance.read() as Iterable<Uint8Array>)]);
    const changed = replaced(
      replaced(bytes, [0x10, 0x20], 'PATIENT-ID-X', id, vr),
      [0x08, 0x05],
      'ISO_IR 192',
      characterSet,
      'CS',
    );
    return { ...instance, manifest: { ...instance.manifest, sizeBytes: changed.length }, read: () => [changed] };
  });
  return { ...study, instances };
}

/** Another value, and VR, for an element of Explicit VR Little Endian. */
function replaced(bytes: Buffer, tag: readonly [number, number], from: string, to: string, vr: string): Buffer {
  const at = bytes.indexOf(Buffer.from([tag[0], 0, tag[1], 0]));
  const value = Buffer.from(to.length % 2 === 0 ? to : `${to} `, 'latin1');
  const isLong = vr === 'UN';
  const head = Buffer.alloc(isLong ? 12 : 8);
  bytes.copy(head, 0, at, at + 4);
  head.write(vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(value.length, 8);
  else head.writeUInt16LE(value.length, 6);
  return Buffer.concat([bytes.subarray(0, at), head, value, bytes.subarray(at + 8 + from.length)]);
}

function named(instance: FixtureInstance, sopInstanceUid: string, seriesInstanceUid?: string): FixtureInstance {
  const manifest = { ...instance.manifest, sopInstanceUid, ...(seriesInstanceUid && { seriesInstanceUid }) };
  return { ...instance, manifest };
}

/** Path by the default layout. */
function pathOf({ manifest }: FixtureInstance): string {
  return `${manifest.studyInstanceUid}/${manifest.seriesInstanceUid}/${manifest.sopInstanceUid}.dcm`;
}

async function bytesOf(instance: FixtureInstance): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of instance.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function expectThere({ get }: EmptyPlace, instances: readonly FixtureInstance[]): Promise<void> {
  for (const instance of instances) {
    const found = await get(pathOf(instance));
    expect(found?.equals(await bytesOf(instance)), pathOf(instance)).toBe(true);
  }
}
