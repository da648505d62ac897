import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { claimName } from '../template/index.ts';
import { writeGroup, type FileGroup } from './write-group.ts';

/** Root without the right to read every file. */
const withoutRights = ['--bounding-set', '-dac_override,-dac_read_search'];

function canDropRights(): boolean {
  try {
    execFileSync('setpriv', [...withoutRights, 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let root: TempFolder;
let path: string;
let count = 0;
beforeAll(async () => {
  root = await tempFolder('folder-group');
});
afterAll(() => root.remove());
beforeEach(async () => {
  path = join(root.path, `case-${(count += 1)}`);
  await mkdir(path);
});
afterEach(() => void vi.restoreAllMocks());

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

  it('does not get its names if it is stopped while it holds their claim', async () => {
    const group = groupOf(['a']);
    vi.spyOn(performance, 'now').mockImplementation(() => {
      Atomics.store(new Int32Array(group.stop), 0, 1);
      return 0;
    });
    expect(writeGroup(group)).toEqual([{ kind: 'stopped' }]);
    expect(await readdir(path)).toEqual([]);
  });

  it('gives up a claim that it has held for long, because others may take it over', async () => {
    vi.spyOn(performance, 'now').mockReturnValueOnce(0).mockReturnValue(5_001);
    expect(writeGroup(groupOf(['a']))).toEqual([{ kind: 'occupied' }]);
    expect(await readdir(path)).toEqual(['.a.part']);
  });

  it.runIf(canDropRights())('is written without permission to read its files', async () => {
    const script = `
      const { writeGroup } = await import(${JSON.stringify(new URL('./write-group.ts', import.meta.url).href)});
      const [memory, stop, progress] = [1, 4, 4].map((bytes) => new SharedArrayBuffer(bytes));
      const file = { folder: 0, temporary: '.a.part', name: 'a', claim: '.claim', at: 0, sizeBytes: 1 };
      const options = { fsync: true, checkSize: true, mode: 0o220, owner: undefined };
      const group = { id: 1, memory, stop, progress, folders: [${JSON.stringify(path)}], files: [file], ...options };
      console.log(JSON.stringify(writeGroup(group)));`;
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
    const out = execFileSync('setpriv', [...withoutRights, ...node]).toString();
    expect(JSON.parse(out)).toEqual([{ kind: 'new' }]);
  });
});
