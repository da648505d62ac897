import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { TestDelivery, testStudy, type TestStudy } from '@dicom-dispatch/target-kit/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { filesUnder } from '../contract-suite/index.ts';
import { claimName } from '../template/index.ts';
import { GroupWriter, maxGroupFileBytes } from './group-writer.ts';
import { folderHandler } from './handler.ts';
import { placeOf } from './place.ts';
import { folderTarget } from './schema.ts';
import { writeGroup, type FileGroup } from './write-group.ts';
import { threadFor } from './write-threads.ts';

/** Enough for a thread of its own. */
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
    expect(threadFor(path, false)).toBeDefined();
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
    expect(threadFor(path, false)).toBeDefined();
    expect(delivery.late).toEqual([]);
    const again = await delivery.attempt(parse());
    expect(again.error).toBeUndefined();
    expect(await contentOf(study)).toEqual(files.map(digest));
    expect(await litter()).toEqual([]);
  });

  it('fail together if their thread ends, and are written by a new one', async () => {
    const files = smallFiles();
    const study = studyOf(files);
    const delivery = new TestDelivery(folderHandler, study);
    const { error } = await delivery.attempt(parse(), { onReport: () => threadFor(path, false)?.end() });
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

  it('end with a timeout when the disk does not respond', async () => {
    const ended: string[] = [];
    const silent = {
      finished: 0,
      started: Promise.resolve(),
      use() {},
      release() {},
      write: () => new Promise<never>(() => {}),
      end: () => void ended.push('ended'),
    };
    const { signal } = new AbortController();
    using writer = new GroupWriter(placeOf(parse({ timeout: '20ms' }), signal), silent);
    const file = { base: path, temporary: 't', name: 'n', lane: 0, sizeBytes: 1 };
    await expect(writer.write(file, signal)).rejects.toMatchObject({ code: 'target-timeout', disposition: 'wait' });
    expect(ended).toEqual(['ended']);
  });
});

describe('a group of files', () => {
  function groupOf(names: readonly string[], more: Partial<FileGroup> = {}): FileGroup {
    const memory = new SharedArrayBuffer(names.length);
    new Uint8Array(memory).fill(7);
    return {
      id: 1,
      memory,
      stop: new SharedArrayBuffer(4),
      progress: new SharedArrayBuffer(4),
      folders: [path],
      files: names.map((name, at) => ({
        folder: 0,
        temporary: `.${name}.part`,
        name,
        claim: claimName(name),
        at,
        sizeBytes: 1,
      })),
      fsync: true,
      checkSize: true,
      mode: undefined,
      owner: undefined,
      ...more,
    };
  }

  it('writes nothing after it was stopped', async () => {
    const group = groupOf(['a', 'b']);
    Atomics.store(new Int32Array(group.stop), 0, 1);
    expect(writeGroup(group)).toEqual([{ kind: 'stopped' }, { kind: 'stopped' }]);
    expect(await readdir(path)).toEqual([]);
  });

  it('leaves a complete file under its temporary name if its name or claim is taken', async () => {
    await writeFile(join(path, 'a'), 'there');
    await writeFile(join(path, claimName('b')), '');
    expect(writeGroup(groupOf(['a', 'b', 'c'])).map(({ kind }) => kind)).toEqual(['occupied', 'occupied', 'new']);
    expect((await readdir(path)).sort()).toEqual(['.a.part', '.b.part', claimName('b'), 'a', 'c'].sort());
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('there');
  });

  it('reports the error of one file without its path, and writes the others', async () => {
    const long = 'x'.repeat(300);
    expect(writeGroup(groupOf(['a', long, 'c']))).toEqual([
      { kind: 'new' },
      { kind: 'failed', doing: 'Creating a file', code: 'ENAMETOOLONG' },
      { kind: 'new' },
    ]);
    expect((await readdir(path)).sort()).toEqual(['a', 'c']);
  });

  it('reports a missing folder for the files in it alone', async () => {
    const group = groupOf(['a', 'b']);
    const [first, second] = group.files;
    const files = [first!, { ...second!, folder: 1 }];
    expect(writeGroup({ ...group, files, folders: [path, join(path, 'missing')] })).toEqual([
      { kind: 'new' },
      { kind: 'failed', doing: 'Opening a folder', code: 'ENOENT' },
    ]);
  });
});
