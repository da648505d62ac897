import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { leasePort, startHttpServer, startOrthanc, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

const example = fileURLToPath(new URL('../../examples/target-handler', import.meta.url));

async function filesUnder(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  const entries = all.filter(({ name }) => name !== '.dicom-dispatch-target');
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Waits for a delivery, and prints the services' output if it does not arrive. */
function delivered(system: System, study: UploadedStudy, target: string, ...services: { output(): string }[]) {
  return system.untilDelivery(study, target, ['delivered']).catch((error: unknown) => {
    throw new Error(services.map((one) => one.output()).join('\n'), { cause: error });
  });
}

describe('templates', () => {
  it('read tags that Orthanc does not keep in its database, of the study and of each series', async () => {
    await using system = await startSystem();
    await using folder = await tempFolder('templates');
    await using dispatch = await startFollowing({
      config: system.config({
        files: {
          type: 'folder',
          path: folder.path,
          minFree: 0,
          layout:
            '{ReferringPhysicianName}/{StudyID}/{StationName}_{ManufacturerModelName}_{OperatorsName}/{SOPInstanceUID}.dcm',
        },
      }),
    });
    const study = await system.upload({
      seed: 'template tags',
      series: 2,
      instancesPerSeries: 1,
      rows: 16,
      columns: 16,
      attributes: {
        ReferringPhysicianName: 'Haus^Gregor',
        StudyID: 'S-17',
        StationName: 'CT-3',
        ManufacturerModelName: 'Sonnenaufgang 4000',
        OperatorsName: 'Muster^Mia',
      },
    });
    await delivered(system, study, 'files', dispatch);
    const names = await filesUnder(folder.path);
    expect(names).toEqual(
      [...study.datasets.keys()].map((uid) => `Haus^Gregor/S-17/CT-3_Sonnenaufgang 4000_Muster^Mia/${uid}.dcm`).sort(),
    );
  });

  it('keep names in other scripts readable, for any character set, and within the folder', async () => {
    await using system = await startSystem();
    await using outer = await tempFolder('scripts');
    const path = join(outer.path, 'target');
    await mkdir(path);
    await using dispatch = await startFollowing({
      config: system.config({
        files: { type: 'folder', path, minFree: 0, layout: '{PatientName}/{StudyDescription}/{SOPInstanceUID}.dcm' },
      }),
    });
    const cases = [
      // PS3.5 section H.3.1.
      {
        seed: 'ISO 2022 IR 87',
        readable: '山田^太郎=やまだ^たろう',
        attributes: {
          SpecificCharacterSet: ['', 'ISO 2022 IR 87'],
          PatientName: Buffer.from(
            '59616d6164615e5461726f753d' +
              '1b24423b3345441b28425e1b244242404f3a1b2842' +
              '3d1b24422464245e24401b28425e1b2442243f246d24261b2842',
            'hex',
          ),
        },
      },
      // PS3.5 section J.3: Wang^XiaoDong=王^小东=
      {
        seed: 'GB18030',
        readable: '王^小东',
        attributes: {
          SpecificCharacterSet: 'GB18030',
          PatientName: Buffer.from('57616e675e5869616f446f6e673dcdf55ed0a1b6ab3d', 'hex'),
        },
      },
      {
        seed: 'ISO_IR 192',
        readable: 'Люкceмбypг',
        attributes: { SpecificCharacterSet: 'ISO_IR 192', PatientName: Buffer.from('Люкceмбypг') },
      },
      {
        seed: 'climbing',
        readable: 'Meier',
        attributes: { PatientName: '../../../../Meier', StudyDescription: '../..' },
      },
      { seed: 'NUL', readable: 'Fischer', attributes: { PatientName: 'Fischer\0/../x', StudyDescription: '\0' } },
      { seed: 'long', readable: 'Bauerxxx', attributes: { PatientName: `Bauer${'x'.repeat(295)}` } },
    ];
    const studies = await Promise.all(
      cases.map(({ seed, attributes }) =>
        system.upload({ seed, instancesPerSeries: 1, rows: 16, columns: 16, attributes }),
      ),
    );
    for (const [index, { seed, readable }] of cases.entries()) {
      const study = studies[index]!;
      await delivered(system, study, 'files', dispatch);
      const [uid = ''] = study.datasets.keys();
      const found = (await filesUnder(path)).filter((name) => name.endsWith(`/${uid}.dcm`));
      expect(found, seed).toHaveLength(1);
      // Orthanc omits a text of 300 characters from its responses; the name then shows that it is missing.
      if (seed !== 'long' || found[0]?.includes('Bauer')) expect(found[0]?.normalize('NFC'), seed).toContain(readable);
      expect(found[0]?.split('/').length, seed).toBe(3);
    }
    expect(await readdir(outer.path)).toEqual(['target']);
  });
});

describe('a storage commitment with several dispatchers', () => {
  it('reaches the requesting one, whichever the archive contacts, and continues when that one ends', async () => {
    const lease = await leasePort();
    await using system = await startSystem();
    await using archive = await startOrthanc({ modalities: { us: ['DISPATCH', '127.0.0.1', lease.port] } });
    const config = system.config({
      archive: pacsTarget(
        { host: '127.0.0.1', port: archive.dicomPort, aet: archive.aet },
        {
          concurrency: 4,
          verify: 'commitment',
          commitment: { timeout: '1m', listener: { listen: `127.0.0.1:${lease.port}` } },
        },
      ),
    });
    // All on one machine: the first dispatcher owns the address, so the reports for the second one reach the first.
    const first = await startDispatch({ command: 'dispatcher', config });
    await using second = await startDispatch({ command: 'dispatcher', config });
    await using router = await startDispatch({ command: 'router', config });
    const workers = new Set<string>();
    const all: UploadedStudy[] = [];
    while (workers.size < 2) {
      if (all.length >= 24) throw new Error('all deliveries went to one dispatcher');
      const some = await Promise.all(
        Array.from({ length: 4 }, (_, index) =>
          system.upload({ seed: `shared ${all.length + index}`, instancesPerSeries: 2, rows: 8, columns: 8 }),
        ),
      );
      all.push(...some);
      for (const study of some) {
        const { worker } = await delivered(system, study, 'archive', first, second, router);
        workers.add(worker ?? '');
      }
    }
    const uids = all.flatMap(({ datasets }) => [...datasets.keys()]);
    expect(await archive.sopInstanceUids()).toEqual(uids.sort());
    await first.stop();
    const last = await system.upload({ seed: 'alone', instancesPerSeries: 2, rows: 8, columns: 8 });
    await delivered(system, last, 'archive', second, router);
    lease.release();
  });
});

describe('a handler from outside the repository', () => {
  it('is loaded by the dispatcher from the configuration, and delivers', async () => {
    const stored = new Map<string, number>();
    await using web = await startHttpServer(({ method, path, headers, body }, response) => {
      if (headers.authorization !== 'Bearer open-sesame') return void response.writeHead(401).end();
      if (method === 'PUT') stored.set(path, body.length);
      response.writeHead(method === 'PUT' ? 201 : 204).end();
    });
    await using system = await startSystem();
    await using dispatch = await startDispatch({
      config: system.config({
        web: { type: `package:${example}`, url: `${web.url}/incoming`, token: '${WEB_TOKEN}', maxParallel: 2 },
      }),
      env: { WEB_TOKEN: 'open-sesame' },
    });
    const study = await system.upload({ seed: 'outside', instancesPerSeries: 3, rows: 16, columns: 16 });
    await delivered(system, study, 'web', dispatch);
    expect([...stored.keys()].sort()).toEqual(
      [...study.datasets.keys()].map((uid) => `/incoming/${study.studyInstanceUid}/${uid}.dcm`).sort(),
    );
  });

  it.each([
    [
      'of another version of the contract',
      'export const handler = { contractVersion: 99, type: "x" };',
      'version 99 of the handler contract; this is version 1',
    ],
    [
      'of the wrong shape',
      'export const createHandler = ({ contractVersion, z }) => ({ contractVersion, type: "x", schema: z.object({}) });',
      'deliver is not a function; testConnection is not a function',
    ],
  ])('%s is refused when it is loaded, with the remedy', async (_name, text, words) => {
    await using folder = await tempFolder('outside');
    await writeFile(join(folder.path, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder.path, 'lab.js'), text);
    await using system = await startSystem();
    const config = system.config({ lab: { type: `package:${folder.path}/lab.js` } });
    const error = await startDispatch({ config }).then(
      async (dispatch) => {
        await dispatch.stop();
        return undefined;
      },
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toContain(words);
    expect(String(error)).toContain('Use a version of the package that is compatible with this dicom-dispatch');
    await waitFor(async () => (await system.client.keys('*')).length === 0);
  });
});
