import { execFileSync } from 'node:child_process';
import fs, { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DispatchError } from '@dicom-dispatch/core';
import { tempFolder, waitFor, type TempFolder } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import {
  filesUnder,
  fixtureStudy,
  handlerContract,
  pathContract,
  receivedFiles,
  type ArrangedFault,
  type NotApplicable,
} from '../contract-suite/index.ts';
import { Folders } from './folders.ts';
import { folderHandler } from './handler.ts';
import { placeOf } from './place.ts';
import { folderTarget } from './schema.ts';
import { writeFile as writeInstance } from './write-file.ts';
import { shortHash } from '../template/index.ts';

/** Mounting and file attributes require root; otherwise the suite reports the skipped tests. */
function can(script: string): boolean {
  try {
    execFileSync('sh', ['-c', script], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const run = (command: string, ...args: string[]): Buffer => execFileSync(command, args, { stdio: 'pipe' });
const canMount = can('unshare -m mount -t tmpfs tmpfs /mnt');
const canAppendOnly = can('d=$(mktemp -d) && chattr +a "$d" && chattr -a "$d"; s=$?; rmdir "$d"; exit $s');
const onlyRoot: NotApplicable = { notApplicable: 'mounting a small file system needs root' };

let root: TempFolder;
beforeAll(async () => {
  root = await tempFolder('folder-target');
});
afterAll(async () => root.remove());

let mounts = 0;
async function mounted(...options: string[]): Promise<ArrangedFault & { path: string }> {
  const path = join(root.path, `mount-${(mounts += 1)}`);
  await mkdir(path);
  run('mount', '-t', 'tmpfs', '-o', options.join(','), 'tmpfs', path);
  return { path, config: { path, minFree: 0 }, elsewhere: true, undo: () => void run('umount', path) };
}

handlerContract({
  name: 'folder',
  handler: folderHandler,
  async start() {
    const folder = await tempFolder('folder-contract');
    const path = join(folder.path, 'target');
    await mkdir(path);
    return {
      config: { type: 'folder', path, marker: { path: '{StudyInstanceUID}/complete.json' } },
      received: (study) => receivedFiles(path, study),
      names: async () => (await filesUnder(folder.path)).map((name) => name.replace(/^target\//, '')),
      litter: async () => (await filesUnder(folder.path)).filter((name) => name.endsWith('.part')),
      fingerprint: async () => {
        const names = await filesUnder(path);
        return Promise.all(names.map(async (name) => [name, (await stat(join(path, name), { bigint: true })).ctimeNs]));
      },
      stop: () => folder.remove(),
    };
  },
  faults: {
    'wrong credentials': canMount
      ? {
          code: 'target-misconfigured',
          stage: 'connect',
          arrange: () => mounted('ro'),
        }
      : onlyRoot,
    'wrong host key': { notApplicable: 'a folder has no host' },
    full: canMount ? { code: 'target-full', stage: 'connect', arrange: () => mounted('size=64k') } : onlyRoot,
    unreachable: {
      code: 'target-misconfigured',
      stage: 'connect',
      arrange: ({ config }) => ({ config: { path: join(String(config.path), '..', 'not-mounted') } }),
    },
    hangs: { notApplicable: 'a file system that hangs cannot be made without a kernel module' },
    cut: canMount
      ? {
          code: 'target-full',
          stage: 'transfer',
          arrange: async () => {
            const fault = await mounted('size=1m');
            return {
              ...fault,
              strike: () => writeFile(join(fault.path, 'other'), Buffer.alloc(2 ** 20)).catch(() => {}),
            };
          },
        }
      : onlyRoot,
  },
  checks: {
    exists: { arrange: () => ({ config: { path: join(root.path, 'not-there') } }) },
    permission: canMount ? { arrange: () => mounted('ro') } : onlyRoot,
    place: {
      arrange: async () => {
        const path = join(root.path, 'marked-by-others');
        await mkdir(path);
        await writeFile(join(path, '.dicom-dispatch-target'), 'not ours');
        return { config: { path } };
      },
    },
    write: canMount
      ? {
          arrange: async () => {
            const fault = await mounted('size=4k');
            await writeFile(join(fault.path, 'filler'), Buffer.alloc(4096));
            return fault;
          },
        }
      : onlyRoot,
    rename: canAppendOnly
      ? {
          arrange: async () => {
            const path = join(root.path, 'append-only');
            await mkdir(path);
            run('chattr', '+a', path);
            return { config: { path }, undo: () => void run('chattr', '-a', path) };
          },
        }
      : { notApplicable: 'an append-only folder needs root and a file system with attributes' },
    space: { arrange: () => ({ config: { minFree: '900000GB' } }) },
  },
  hostile: {
    config: {
      layout: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
      marker: undefined,
    },
  },
});

let places = 0;
pathContract({
  name: 'folder',
  handler: folderHandler,
  option: 'layout',
  async place() {
    const path = join(root.path, `place-${(places += 1)}`);
    await mkdir(path);
    return {
      config: { type: 'folder', path, minFree: 0 },
      get: (name) => readFile(join(path, name)).catch(() => undefined),
      async put(name, content) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), content);
      },
      names: () => filesUnder(path),
    };
  },
});

describe('the folder target', () => {
  let path: string;
  let count = 0;
  beforeEach(async () => {
    path = join(root.path, `case-${(count += 1)}`);
    await mkdir(path);
  });
  const parse = (more: object = {}) => folderTarget.parse({ type: 'folder', path, minFree: 0, ...more });

  it('supports flat and templated layouts', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 2 });
    await new TestDelivery(folderHandler, study).attempt(parse({ layout: 'flat' }));
    const uids = study.instances.map(({ manifest }) => manifest.sopInstanceUid).sort();
    expect(await filesUnder(path)).toEqual(uids.map((uid) => `${uid}.dcm`));
    const layout = '{PatientID}/{StudyDate}_{AccessionNumber}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm';
    await new TestDelivery(folderHandler, study).attempt(parse({ layout }));
    const { PatientID, AccessionNumber } = study.tags.study;
    expect(await filesUnder(path)).toContain(`${PatientID}/20240615_${AccessionNumber}/CT_1/${uids[0]}.dcm`);
  });

  it('sets mode and owner of files and created folders', async () => {
    const owner = process.getuid?.() === 0 ? { uid: 1234, gid: 2345 } : undefined;
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    await new TestDelivery(folderHandler, study).attempt(parse({ mode: '0640', directoryMode: '2750', owner }));
    const [name = ''] = await filesUnder(path);
    const [file, folder] = [await stat(join(path, name)), await stat(join(path, name.split('/')[0] ?? ''))];
    expect((file.mode & 0o7777).toString(8)).toBe('640');
    expect((folder.mode & 0o7777).toString(8)).toBe('2750');
    if (owner) expect([file.uid, file.gid, folder.uid, folder.gid]).toEqual([1234, 2345, 1234, 2345]);
  });

  it.each(['none', 'size', 'content'] as const)('delivers with verify %s, with and without fsync', async (verify) => {
    for (const fsync of [true, false]) {
      const study = fixtureStudy({ seed: `${verify} ${fsync}` });
      const attempt = await new TestDelivery(folderHandler, study).attempt(parse({ verify, fsync }));
      expect(attempt.error).toBeUndefined();
    }
    expect(await filesUnder(path)).toHaveLength(12);
  });

  it('removes temporary files of earlier attempts and abandoned ones, and no others', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    const ours = `.dispatch-${shortHash('ours', 12)}-aaaaaaaaaaaa.part`;
    const running = '.dispatch-bbbbbbbbbbbb-bbbbbbbbbbbb.part';
    const abandoned = '.dispatch-cccccccccccc-cccccccccccc.part';
    for (const name of [ours, running, abandoned, '.dispatch-notes.part']) await writeFile(join(path, name), 'half');
    await utimes(join(path, abandoned), 1, 1);
    await new TestDelivery(folderHandler, study, 'ours').attempt(parse({ layout: 'flat' }));
    const hidden = (await filesUnder(path)).filter((name) => name.startsWith('.'));
    expect(hidden).toEqual([running, '.dispatch-notes.part']);
  });

  it('writes the marker last, with every instance in it', async () => {
    const study = fixtureStudy();
    const delivery = new TestDelivery(folderHandler, study);
    const marker = join(path, study.tags.studyInstanceUid, 'complete.json');
    const config = parse({ marker: {} });
    await delivery.attempt(config, {
      onReport: () => expect(stat(marker)).rejects.toMatchObject({ code: 'ENOENT' }),
    });
    const manifest = JSON.parse(await readFile(marker, 'utf8')) as { instances: { path: string }[] };
    expect(manifest).toMatchObject({ version: 1, complete: true, missing: [] });
    expect(manifest.instances.map((instance) => instance.path).sort()).toEqual(
      (await filesUnder(path)).filter((name) => name.endsWith('.dcm')),
    );
  });

  it('writes no marker for a partial study unless configured', async () => {
    const study = fixtureStudy({ series: 1, instancesPerSeries: 3 });
    const gone = study.instances[1]?.manifest.sopInstanceUid;
    const hooks = {
      onOpen({ sopInstanceUid }: { sopInstanceUid: string }) {
        if (sopInstanceUid === gone) throw new DispatchError('source-instance-gone', 'the source does not have it');
      },
    };
    await new TestDelivery(folderHandler, study).attempt(parse({ marker: {} }), hooks);
    expect((await filesUnder(path)).filter((name) => name.endsWith('.json'))).toEqual([]);
    await new TestDelivery(folderHandler, study).attempt(parse({ marker: { whenPartial: true } }), hooks);
    const text = await readFile(join(path, study.tags.studyInstanceUid, 'complete.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ complete: false, missing: [gone] });
  });

  it('attributes the error neither to target nor instance when the dispatcher cannot open more files', () => {
    const script = fileURLToPath(new URL('out-of-files.child.ts', import.meta.url));
    const node = `ulimit -n 60 && exec "${process.execPath}" --disable-warning=ExperimentalWarning "${script}" "${path}"`;
    const out = JSON.parse(run('sh', '-c', node).toString()) as Record<string, unknown>;
    expect(out).toMatchObject({
      error: { code: 'local-resources', fault: 'internal', remedy: expect.stringContaining('LimitNOFILE') },
      disposition: 'retry',
      pending: 0,
    });
    expect(out['kinds']).not.toContain('quarantined');
    expect(out['again']).toBeUndefined();
  });

  it('gives a file system that does not answer up after the timeout', async () => {
    const place = placeOf(parse({ timeout: '20ms' }), new AbortController().signal);
    const silent = place.act('Writing', () => new Promise(() => {}));
    await expect(silent).rejects.toMatchObject({ code: 'target-timeout', disposition: 'wait' });
  });

  it('removes a temporary file also after an abort, and waits for the removal until the timeout', async () => {
    await using folder = await tempFolder('folder-removal');
    const removal = vi.spyOn(fs, 'unlink').mockReturnValue(new Promise(() => {}));
    syncBuiltinESMExports();
    using undo = new DisposableStack();
    undo.defer(() => {
      removal.mockRestore();
      syncBuiltinESMExports();
    });
    const stop = new AbortController();
    const place = placeOf(parse({ path: folder.path, timeout: '60s' }), stop.signal);
    await using folders = new Folders(place);
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      stop.abort();
      yield Buffer.from('b');
    }
    using clock = stopClock();
    let hasEnded = false;
    const conflict = () => new DispatchError('target-conflict', 'taken');
    const file = { path: 'a.dcm', body: body(), sizeBytes: 2, conflict };
    const writing = writeInstance(place, folders, 'test-delivery', file).finally(() => (hasEnded = true));
    const cancelled = expect(writing).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor(() => removal.mock.calls.length === 1);
    await clock.pass(59_999);
    expect(hasEnded).toBe(false);
    await clock.pass(1);
    await cancelled;
  });

  it.each([
    [{ path: 'relative' }, 'absolute'],
    [{ layout: '{PatientID}.dcm' }, 'SOPInstanceUID'],
    [{ mode: '999' }, 'octal'],
    [{ paths: '/x' }, 'Unrecognized key'],
    [{ marker: { path: 'done' } }, 'StudyInstanceUID'],
  ])('refuses %j', (more, text) => {
    const result = folderTarget.safeParse({ type: 'folder', path: '/x', ...more });
    expect(result.error?.message).toContain(text);
  });
});
