import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keptIn, TestDelivery, type Attempt, type AttemptHooks } from '@dicom-dispatch/target-kit/testing';
import { allChecks, filesUnder, fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { folderHandler } from './handler.ts';
import { folderTarget } from './schema.ts';

const run = (command: string, ...args: string[]): Buffer => execFileSync(command, args, { stdio: 'pipe' });
function can(...command: [string, ...string[]]): boolean {
  try {
    run(...command);
    return true;
  } catch {
    return false;
  }
}
const canMount = can('unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt');
const canLock = can('sh', '-c', 'd=$(mktemp -d) && chattr +i "$d" && chattr -i "$d"; s=$?; rmdir "$d"; exit $s');
const canLockMounts = can('unshare', '-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt && chattr +i /mnt && chattr -i /mnt');
const mark = '.dicom-dispatch-target';

let root: TempFolder;
let path: string;
let memory: Map<string, unknown>;
let count = 0;
beforeAll(async () => {
  root = await tempFolder('folder-place');
});
afterAll(async () => root.remove());
beforeEach(async () => {
  memory = new Map();
  path = join(root.path, `target-${(count += 1)}`);
  await mkdir(path);
});

const small = { series: 1, instancesPerSeries: 2, rows: 16, columns: 16 } as const;
const parse = (more: object = {}) => folderTarget.parse({ type: 'folder', path, minFree: 0, fsync: false, ...more });
let studies = 0;
const aStudy = (): FixtureStudy => fixtureStudy({ ...small, seed: `place ${(studies += 1)}` });

function deliver(study = aStudy(), more: object = {}, hooks: AttemptHooks = {}): Promise<Attempt> {
  const delivery = new TestDelivery(folderHandler, study);
  delivery.memory = memory;
  return delivery.attempt(parse(more), hooks);
}
async function placeCheck(more: object = {}) {
  const context = { config: parse(more), targetName: 't', signal: new AbortController().signal };
  const checks = await Array.fromAsync(folderHandler.testConnection({ ...context, memory: keptIn(memory) }));
  return checks.find(({ name }) => name === 'place');
}

it('first deliveries that come at the same time keep one mark', async () => {
  const attempts = await Promise.all(Array.from({ length: 8 }, () => deliver()));
  expect(attempts.map(({ error }) => error)).toEqual(attempts.map(() => undefined));
  expect((await deliver()).error).toBeUndefined();
  expect((await readdir(path)).filter((name) => name.startsWith('.'))).toEqual([mark]);
});

describe('a folder target identifies the folder with which it was set up', () => {
  it.runIf(canMount)('rejects a mount point whose share is not mounted, until it is', async () => {
    const share = join(root.path, `share-${count}`);
    await mkdir(share);
    expect(await placeCheck()).toMatchObject({ result: 'passed', detail: expect.stringContaining('not marked yet') });
    run('mount', '--bind', share, path);
    expect((await deliver()).error).toBeUndefined();
    expect(await placeCheck()).toMatchObject({ result: 'passed' });
    run('umount', path);
    const study = aStudy();
    const attempt = await deliver(study);
    expect(attempt.error).toMatchObject({ code: 'target-unreachable', stage: 'connect', disposition: 'wait' });
    expect(attempt.error?.remedy).toContain('Mount the share');
    expect(attempt.opened).toEqual([]);
    expect(await placeCheck()).toMatchObject({ result: 'failed', detail: expect.stringContaining('mark') });
    expect(await readdir(path)).toEqual([]);
    run('mount', '--bind', share, path);
    try {
      expect((await deliver(study)).error).toBeUndefined();
      expect(await filesUnder(share)).toHaveLength(4);
    } finally {
      run('umount', path);
    }
  });

  it.runIf(canMount)('writes nothing locally when the share is unmounted in the middle of a delivery', async () => {
    const share = join(root.path, `share-${count}`);
    await mkdir(share);
    run('mount', '--bind', share, path);
    const study = fixtureStudy({ ...small, series: 3, seed: 'unmounted' });
    await deliver(
      study,
      { maxParallel: 1 },
      {
        onChunk({ openIndex, readBytes }) {
          if (openIndex === 1 && readBytes === 0) run('umount', '-l', path);
        },
      },
    );
    expect(await readdir(path)).toEqual([]);
    expect((await filesUnder(share)).length).toBeGreaterThan(0);
  });

  it.runIf(canMount)('rejects a mount point within it whose share is not mounted, or is different', async () => {
    const layout = 'archive/images/{PatientID}/{SOPInstanceUID}.dcm';
    const point = join(path, 'archive');
    await mkdir(join(point, 'images'), { recursive: true });
    const mount = (): Buffer => run('mount', '-t', 'tmpfs', 'tmpfs', point);
    mount();
    const study = aStudy();
    try {
      expect((await deliver(aStudy(), { layout })).error).toBeUndefined();
      expect((await deliver(aStudy(), { layout })).error).toBeUndefined();
      expect((await stat(join(point, mark))).size).toBeGreaterThan(50);
    } finally {
      run('umount', point);
    }
    const attempt = await deliver(study, { layout });
    expect(attempt.error).toMatchObject({
      code: 'target-unreachable',
      message: expect.stringContaining(`${point} is not`),
    });
    expect(await placeCheck({ layout })).toMatchObject({ result: 'failed' });
    expect(await filesUnder(point)).toEqual([]);
    mount();
    try {
      // An empty disk: no operator has confirmed that it replaces the other.
      expect((await deliver(study, { layout })).error).toMatchObject({ code: 'target-unreachable' });
      await writeFile(join(point, mark), '');
      expect((await deliver(study, { layout })).error).toBeUndefined();
    } finally {
      run('umount', point);
    }
    // The same without the mount point itself.
    await rm(point, { recursive: true });
    expect((await deliver(study, { layout })).error).toMatchObject({ code: 'target-unreachable' });
    // A target with a new path has no data about file systems mounted there.
    const moved = `${path}-moved`;
    await mkdir(join(moved, 'archive'), { recursive: true });
    expect((await deliver(study, { layout, path: moved })).error).toBeUndefined();
  });

  it.runIf(canMount && canLockMounts)('marks a subfolder if the mounted folder has another owner', async () => {
    const layout = 'archive/images/{PatientID}/{SOPInstanceUID}.dcm';
    const [point, share] = [join(path, 'archive'), join(root.path, `share-${count}`)];
    const images = join(point, 'images');
    await mkdir(point);
    await mkdir(share);
    run('mount', '-t', 'tmpfs', 'tmpfs', share);
    run('mount', '--bind', share, point);
    await mkdir(images);
    run('chattr', '+i', point);
    try {
      for (let times = 0; times < 2; times += 1) expect((await deliver(aStudy(), { layout })).error).toBeUndefined();
      expect(await readdir(point)).toEqual(['images']);
      expect(await readdir(images)).toContain(mark);
      expect([...memory.keys()].sort()).toEqual(['place', 'place:archive/images', 'unmarked:archive']);
    } finally {
      run('umount', '-l', share);
      run('umount', '-l', point);
    }
    const attempt = await deliver(aStudy(), { layout });
    expect(attempt.error).toMatchObject({ code: 'target-unreachable', message: expect.stringContaining(images) });
    expect(await readdir(point)).toEqual([]);
  });

  it.runIf(canMount)('rejects another disk in its place, unless an operator confirms it', async () => {
    expect((await deliver()).error).toBeUndefined();
    const other = join(root.path, `other-${count}`);
    await mkdir(other);
    await writeFile(join(other, mark), '{"version":1,"id":"0b0ddc04-7d6a-4e30-9d1f-7f4ee0b7a0ad"}');
    run('mount', '--bind', other, path);
    try {
      const attempt = await deliver();
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', stage: 'connect', disposition: 'halt' });
      expect(await placeCheck()).toMatchObject({ result: 'failed' });
      await writeFile(join(other, mark), '');
      expect(await placeCheck()).toMatchObject({ result: 'passed' });
      expect((await deliver()).error).toBeUndefined();
      expect((await deliver()).error).toBeUndefined();
      expect((await stat(join(other, mark))).size).toBeGreaterThan(50);
    } finally {
      run('umount', path);
    }
    // Now the first folder is replaced.
    expect((await deliver()).error).toMatchObject({ code: 'target-misconfigured' });
  });

  it('marks it again when only the mark was removed', async () => {
    expect((await deliver()).error).toBeUndefined();
    const before = await stat(path, { bigint: true });
    await rm(join(path, mark));
    const attempt = await deliver();
    if (before.birthtimeNs === 0n) expect(attempt.error).toMatchObject({ code: 'target-unreachable' });
    else expect(attempt.error).toBeUndefined();
  });

  it('rejects a folder that was created again in its place', async () => {
    expect((await deliver()).error).toBeUndefined();
    await rename(path, `${path}-before`);
    await mkdir(path);
    expect((await deliver()).error).toMatchObject({ code: 'target-unreachable' });
    await rename(path, `${path}-empty`);
    await rename(`${path}-before`, path);
    expect((await deliver()).error).toBeUndefined();
  });

  it('follows a target with a new path, and adopts a folder with an unknown mark', async () => {
    expect((await deliver()).error).toBeUndefined();
    const moved = `${path}-moved`;
    await mkdir(moved);
    expect((await deliver(aStudy(), { path: moved })).error).toBeUndefined();
    memory = new Map();
    expect((await deliver(aStudy(), { path: moved })).error).toBeUndefined();
    await rm(join(moved, mark));
    await rename(moved, `${moved}-away`);
    await mkdir(moved);
    expect((await deliver(aStudy(), { path: moved })).error).toMatchObject({ code: 'target-unreachable' });
    expect((await deliver(aStudy(), { path: moved, rememberPlace: false })).error).toBeUndefined();
    expect(await readdir(moved)).not.toContain(mark);
    expect(await placeCheck({ path: moved, rememberPlace: false })).toMatchObject({ result: 'skipped' });
  });

  it('reports an invalid mark, and follows no link for it', async () => {
    await writeFile(join(path, mark), '{"id": 7}');
    expect((await deliver()).error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
    await rm(join(path, mark));
    await symlink('/etc/passwd', join(path, mark));
    expect((await deliver()).error).toMatchObject({ code: 'target-misconfigured', stage: 'connect' });
  });

  it('sets it up once when several deliveries begin at the same time', async () => {
    const attempts = await Promise.all(Array.from({ length: 5 }, () => deliver()));
    expect(attempts.map(({ error }) => error)).toEqual(attempts.map(() => undefined));
    expect((await deliver()).error).toBeUndefined();
  });
});

describe('a folder target writes nothing outside of its folder', () => {
  let outside: string;
  beforeEach(async () => {
    outside = join(root.path, `outside-${count}`);
    await mkdir(outside);
  });
  const uidOf = (study: FixtureStudy): string => study.tags.studyInstanceUid;
  const conflicts = (attempt: Attempt): string[] =>
    [...attempt.reported.values()].map((one) => (one.kind === 'quarantined' ? one.error.code : one.kind));

  it.each([
    ['to another folder', () => outside],
    ['to nothing', () => join(outside, 'nothing')],
    ['to itself', (name: string) => name],
    ['up', () => '..'],
  ] as const)('through a planted link %s', async (_name, target) => {
    const study = aStudy();
    await symlink(target(uidOf(study)), join(path, uidOf(study)));
    const attempt = await deliver(study);
    expect(attempt.error).toBeUndefined();
    expect(conflicts(attempt)).toEqual(['target-conflict', 'target-conflict']);
    expect(await readdir(outside)).toEqual([]);
    // Another study is not affected.
    expect(conflicts(await deliver())).toEqual(['delivered', 'delivered']);
    expect(await readdir(outside)).toEqual([]);
  });

  it('through a link further down, or in the place of a file', async () => {
    const study = aStudy();
    const [first, second] = study.instances;
    await mkdir(join(path, uidOf(study)));
    await symlink(outside, join(path, uidOf(study), first!.manifest.seriesInstanceUid));
    expect(conflicts(await deliver(study))).toEqual(['target-conflict', 'target-conflict']);
    await rm(join(path, uidOf(study)), { recursive: true });
    await writeFile(join(outside, 'precious'), 'keep me');
    await symlink(join(outside, 'precious'), join(path, `${first!.manifest.sopInstanceUid}.dcm`));
    run('mkfifo', join(path, `${second!.manifest.sopInstanceUid}.dcm`));
    const attempt = await deliver(study, { layout: 'flat', onConflict: 'overwrite' });
    expect(conflicts(attempt)).toEqual(['target-conflict', 'target-conflict']);
    expect((await stat(join(outside, 'precious'))).size).toBe(7);
  });

  it('but through links to other places in it, and outside if configured', async () => {
    const study = aStudy();
    await mkdir(join(path, 'disk-2'));
    await symlink('disk-2', join(path, uidOf(study)));
    expect(conflicts(await deliver(study))).toEqual(['delivered', 'delivered']);
    expect(await filesUnder(join(path, 'disk-2'))).toHaveLength(2);
    const other = aStudy();
    await symlink(outside, join(path, uidOf(other)));
    expect(conflicts(await deliver(other, { followLinks: true }))).toEqual(['delivered', 'delivered']);
    expect(await filesUnder(outside)).toHaveLength(2);
  });

  it('also when a folder makes way for a link in the middle of a delivery', async () => {
    const study = fixtureStudy({ ...small, series: 2, instancesPerSeries: 3, seed: 'swapped' });
    await deliver(
      study,
      { maxParallel: 1 },
      {
        async onChunk({ openIndex, readBytes }) {
          if (openIndex !== 1 || readBytes !== 0) return;
          await rename(join(path, uidOf(study)), join(path, 'moved'));
          await symlink(outside, join(path, uidOf(study)));
        },
      },
    );
    expect(await readdir(outside)).toEqual([]);
  });

  it('continues when a folder is removed while in use', async () => {
    const study = fixtureStudy({ ...small, instancesPerSeries: 4, seed: 'removed' });
    const delivery = new TestDelivery(folderHandler, study);
    delivery.memory = memory;
    const first = await delivery.attempt(parse({ maxParallel: 1 }), {
      async onChunk({ openIndex, readBytes }) {
        if (openIndex === 1 && readBytes === 0) await rm(join(path, uidOf(study)), { recursive: true });
      },
    });
    expect(first.error).toMatchObject({ code: 'instance-failed', fault: 'target' });
    expect((await delivery.attempt(parse())).error).toBeUndefined();
    expect(await filesUnder(path)).toHaveLength(3);
  });

  it.runIf(canLock)('quarantines instances for a folder without access; a target without access stops', async () => {
    const study = aStudy();
    await mkdir(join(path, uidOf(study)));
    run('chattr', '+i', join(path, uidOf(study)));
    try {
      expect(conflicts(await deliver(study))).toEqual(['target-conflict', 'target-conflict']);
      expect(conflicts(await deliver())).toEqual(['delivered', 'delivered']);
    } finally {
      run('chattr', '-i', join(path, uidOf(study)));
    }
    run('chattr', '+i', path);
    try {
      const attempt = await deliver();
      expect(attempt.error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt' });
    } finally {
      run('chattr', '-i', path);
    }
  });

  it('removes no folder that has the name of a temporary file', async () => {
    await mkdir(join(path, '.dispatch-cccccccccccc-cccccccccccc.part'));
    expect((await deliver(aStudy(), { layout: 'flat' })).error).toBeUndefined();
    expect((await allChecks(folderHandler, parse())).map(({ result }) => result)).not.toContain('failed');
  });
});
