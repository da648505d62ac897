import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { TestDelivery, testStudy, type TestStudy } from '@dicom-dispatch/target-kit/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { filesUnder } from '../contract-suite/index.ts';
import { claimName } from '../template/index.ts';
import { Folders } from './folders.ts';
import { GroupWriter, maxGroupFileBytes } from './group-writer.ts';
import { folderHandler } from './handler.ts';
import { placeOf } from './place.ts';
import { folderTarget } from './schema.ts';
import { writeFile as writeInstance } from './write-file.ts';
import { writeThreads, type GroupToWrite } from './write-threads.ts';

/** Enough for a thread to be started. */
const many = 120;

const run = (command: string, ...args: string[]): Buffer => execFileSync(command, args, { stdio: 'pipe' });

function canMount(): boolean {
  try {
    run('unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt');
    return true;
  } catch {
    return false;
  }
}

let root: TempFolder;
let path: string;
let count = 0;
beforeAll(async () => {
  root = await tempFolder('folder-groups');
});
afterAll(() => root.remove());
beforeEach(async () => {
  path = join(root.path, `case-${(count += 1)}`);
  await mkdir(path);
});
const parse = (more: object = {}) =>
  folderTarget.parse({ type: 'folder', path, minFree: 0, layout: '{SOPInstanceUID}.dcm', ...more });

function studyOf(files: readonly Uint8Array[]): TestStudy {
  return testStudy(files);
}

const smallFiles = (): Buffer[] => Array.from({ length: many }, (_, index) => randomBytes(1 + ((index * 997) % 5_000)));

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function contentOf(study: TestStudy): Promise<(string | undefined)[]> {
  return Promise.all(
    study.instances.map(async ({ manifest }) => {
      const file = join(path, `${manifest.sopInstanceUid}.dcm`);
      return existsSync(file) ? digest(await readFile(file)) : undefined;
    }),
  );
}

const litter = async (): Promise<string[]> => (await filesUnder(path)).filter((name) => name.endsWith('.part'));

describe('small files of a large study', () => {
  it('are written in groups with their content, also beside larger files', async () => {
    const sizes = [1, maxGroupFileBytes, maxGroupFileBytes + 1, 400_000];
    const files = [...sizes.map((size) => randomBytes(size)), ...smallFiles()];
    const study = studyOf(files);
    const { error, reported } = await new TestDelivery(folderHandler, study).attempt(parse());
    expect(error).toBeUndefined();
    expect(writeThreads.find(path)).toBeDefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
    expect([...reported.values()]).toEqual(
      study.instances.map(() => ({ kind: 'delivered', answer: expect.stringMatching(/^new as /) as string })),
    );
    expect(await litter()).toEqual([]);
  });

  it.each([{ fsync: false }, { verify: 'none' }, { mode: '0640' }])('are written with the options %j', async (more) => {
    const files = smallFiles();
    const study = studyOf(files);
    const { error } = await new TestDelivery(folderHandler, study).attempt(parse(more));
    expect(error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
    if (!more.mode) return;
    const [name = ''] = await readdir(path);
    expect((await stat(join(path, name))).mode & 0o777).toBe(0o640);
  });

  it('keep equal files, replace empty ones and do not replace other content', async () => {
    const files = smallFiles();
    const study = studyOf(files);
    const place = (index: number): string => join(path, `${study.instances[index]!.manifest.sopInstanceUid}.dcm`);
    await writeFile(place(3), files[3]!);
    await writeFile(place(4), '');
    await writeFile(place(5), 'of somebody else');
    const { error, reported } = await new TestDelivery(folderHandler, study).attempt(parse());
    expect(error).toBeUndefined();
    const outcome = (index: number) => reported.get(study.instances[index]!.manifest.sopInstanceUid);
    expect(outcome(3)).toMatchObject({ kind: 'delivered', answer: expect.stringMatching(/^same as /) });
    expect(outcome(4)).toMatchObject({ kind: 'delivered', answer: expect.stringMatching(/^replaced as /) });
    expect(outcome(5)).toMatchObject({ kind: 'quarantined', error: { code: 'target-conflict' } });
    expect(await readFile(place(5), 'utf8')).toBe('of somebody else');
    const expected: (string | undefined)[] = files.map(digest);
    expected[5] = digest(Buffer.from('of somebody else'));
    expect(await contentOf(study)).toEqual(expected);
    expect(await litter()).toEqual([]);
  });

  it('wait for the claim of another delivery on a name', async () => {
    const files = smallFiles();
    const study = studyOf(files);
    const name = `${study.instances[0]!.manifest.sopInstanceUid}.dcm`;
    await writeFile(join(path, claimName(name)), '');
    const delivery = new TestDelivery(folderHandler, study);
    let others = 0;
    const { error } = await delivery.attempt(parse(), {
      async onReport({ sopInstanceUid }) {
        expect(`${sopInstanceUid}.dcm` === name && others < many - 1).toBe(false);
        others += 1;
        if (others === many - 1) await rm(join(path, claimName(name)));
      },
    });
    expect(error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
  });

  it.each(['before the group', 'after the first report'])('are complete after an abort %s', async (when) => {
    const files = smallFiles();
    const study = studyOf(files);
    const delivery = new TestDelivery(folderHandler, study);
    const controller = new AbortController();
    let opened = 0;
    const { error, reported } = await delivery.attempt(parse(), {
      signal: controller.signal,
      onOpen: () => void ((opened += 1) === 20 && when === 'before the group' && controller.abort()),
      onReport: () => void (when !== 'before the group' && controller.abort()),
    });
    expect(error?.code).toBe('cancelled');
    expect(reported.size).toBeLessThan(many);
    expect(writeThreads.find(path)).toBeDefined();
    expect(delivery.late).toEqual([]);
    const again = await delivery.attempt(parse());
    expect(again.error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
    expect(await litter()).toEqual([]);
  });

  it('fail together if their thread ends, and are written by the next attempt', async () => {
    const files = smallFiles();
    const study = studyOf(files);
    const delivery = new TestDelivery(folderHandler, study);
    const { error } = await delivery.attempt(parse(), { onReport: () => writeThreads.find(path)?.end() });
    expect(error).toMatchObject({ code: 'local-resources', disposition: 'retry' });
    const again = await delivery.attempt(parse());
    expect(again.error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
  });

  it.runIf(canMount())('are not confirmed when the disk is full', async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path);
    onTestFinished(() => void run('umount', path));
    const files = Array.from({ length: many }, () => randomBytes(8_000));
    const study = studyOf(files);
    const delivery = new TestDelivery(folderHandler, study);
    const filler = join(path, 'filler');
    let opened = 0;
    // The free space was checked before.
    const onOpen = (): void => void ((opened += 1) === 1 && writeFileSync(filler, Buffer.alloc(3_700_000)));
    const { error, reported } = await delivery.attempt(parse(), { onOpen });
    expect(error?.code).toBe('target-full');
    expect(await litter()).toEqual([]);
    const content = await contentOf(study);
    for (const [index, { manifest }] of study.instances.entries()) {
      if (reported.has(manifest.sopInstanceUid)) expect(content[index]).toBe(digest(files[index]!));
    }
    await rm(filler);
    const again = await delivery.attempt(parse());
    expect(again.error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
    expect(await litter()).toEqual([]);
  });

  it('are not written by more lanes than maxParallel if the transformed ones are large', async () => {
    const study = studyOf(smallFiles());
    const large = Buffer.alloc(maxGroupFileBytes + 1);
    let open = 0;
    let mostOpen = 0;
    const read = async function* () {
      open += 1;
      mostOpen = Math.max(mostOpen, open);
      yield large;
      open -= 1;
    };
    const delivery = new TestDelivery(folderHandler, study);
    const { error } = await delivery.attempt(parse({ maxParallel: 1 }), {
      run: { sizes: 'estimated', open: async () => ({ sizeBytes: large.length, body: read() }) },
    });
    expect(error).toBeUndefined();
    expect(mostOpen).toBe(1);
  });

  it('are all written with more lanes than files in a group', async () => {
    const files = smallFiles();
    const study = studyOf(files);
    const { error } = await new TestDelivery(folderHandler, study).attempt(parse({ maxParallel: 64 }));
    expect(error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
  });
});

describe('a thread that does not answer', () => {
  const config = () => parse({ timeout: '20ms' });
  function silentThread() {
    const memory = new SharedArrayBuffer(4096);
    const kept: SharedArrayBuffer[] = [];
    let endings = 0;
    const thread = {
      finished: 0,
      takeMemory: () => memory,
      keepMemory: (given: SharedArrayBuffer) => void kept.push(given),
      release() {},
      write({ files: [file] }: GroupToWrite): Promise<never> {
        writeFileSync(join(path, file!.temporary), '');
        return new Promise<never>(() => {});
      },
      end: () => void (endings += 1),
    };
    return { thread, memory, kept, endings: () => endings };
  }

  it('ends the delivery with a timeout, and the file that it may be writing is not removed by others', async () => {
    const { thread, kept, endings } = silentThread();
    const { signal } = new AbortController();
    // Only the group has a short timeout.
    const place = placeOf(parse(), signal);
    await using folders = new Folders(place);
    const writer = new GroupWriter(placeOf(config(), signal), thread, { count: 1, bytes: 4096 });
    const file = {
      path: 'a.dcm',
      body: [Buffer.from('a')],
      sizeBytes: 1,
      group: { writer, lane: 0 },
      conflict: () => new DispatchError('target-conflict', 'taken'),
    };
    const writing = writeInstance(place, folders, 'test-delivery', file);
    await expect(writing).rejects.toMatchObject({ code: 'target-timeout', disposition: 'wait' });
    expect(endings()).toBe(1);
    expect(await litter()).toHaveLength(1);
    writer[Symbol.dispose]();
    expect(kept).toEqual([]);
  });

  it('returns the memory of a writer without a group', () => {
    const { thread, memory, kept } = silentThread();
    new GroupWriter(placeOf(config(), new AbortController().signal), thread, { count: 1, bytes: 4096 })[
      Symbol.dispose
    ]();
    expect(kept).toEqual([memory]);
  });
});
