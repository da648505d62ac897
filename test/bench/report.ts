import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Programs whose versions a report contains: the command, and the pattern of the version. */
const programs = {
  Redis: ['redis-server', ['--version'], /v=(\S+)/],
  Orthanc: ['Orthanc', ['--version'], /Orthanc (\S+)/],
  DCMTK: ['storescu', ['--version'], /dcmtk: storescu v(\S+)/],
  OpenSSH: ['ssh', ['-V'], /OpenSSH_(\S+)/],
  rclone: ['rclone', ['--version'], /rclone v(\S+)/],
  s3cmd: ['s3cmd', ['--version'], /version (\S+)/],
  coreutils: ['cp', ['--version'], /coreutils\) (\S+)/],
} as const;

export type Program = keyof typeof programs;

/** The machine and the versions that a figure belongs to, in one line. */
export async function describeMachine(names: readonly Program[]): Promise<string> {
  const versions = await Promise.all(
    names.map(async (name) => {
      const [command, args, pattern] = programs[name];
      const answer = await run(command, [...args]).catch(() => ({ stdout: '', stderr: '' }));
      return `${name} ${pattern.exec(answer.stdout + answer.stderr)?.[1] ?? 'of unknown version'}`;
    }),
  );
  const model = (cpus()[0]?.model ?? '').replace(/\s+/g, ' ').trim();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const day = new Date().toISOString().slice(0, 10);
  return `${day}; ${cpus().length} cores${model === '' || model === 'unknown' ? '' : ` (${model})`}, ${memory}, Linux ${release().split('.', 2).join('.')}, Node ${process.versions.node}, ${versions.join(', ')}.`;
}

/**
 * Writes a text between two comments of a page of docs/, `<!-- begin NAME -->` and `<!-- end NAME -->`; appends them once.
 */
export async function writeSection(page: string, name: string, text: string): Promise<void> {
  const file = new URL(`../../docs/${page}`, import.meta.url);
  const before = await readFile(file, 'utf8');
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
  const section = `${begin}\n${text.trim()}\n${end}`;
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  const after =
    from >= 0 && to > from
      ? before.slice(0, from) + section + before.slice(to + end.length)
      : `${before.trimEnd()}\n\n${section}\n`;
  await writeFile(file, after);
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}

/** Resources of a process: resident memory now and at its peak, CPU time so far, open file descriptors. */
export async function usageOf(
  pid: number,
): Promise<{ rssBytes: number; peakBytes: number; cpuSeconds: number; descriptors: number }> {
  const [status, stat, descriptors] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readdir(`/proc/${pid}/fd`),
  ]);
  const kB = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    rssBytes: kB('VmRSS'),
    peakBytes: kB('VmHWM'),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    descriptors: descriptors.length,
  };
}
