import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, type OrthancServer } from '@dicom-dispatch/harness';
import type { Timed } from './delivery-kinds.ts';
import { measureProcess } from './dimse-measure.ts';

/** How many files a script would download in parallel. */
const atOnce = 4;

/**
 * Downloads every instance of a source into files with one curl, and then runs a function with them: the complete path of a
 * study, with a script. The list of the instances is requested before the clock starts.
 */
export async function exportAndThen(
  source: OrthancServer,
  env: NodeJS.ProcessEnv,
  then: (folder: string) => Promise<Timed>,
): Promise<Timed> {
  const [exported, settings] = [await tempFolder('bench-export'), await tempFolder('bench-curl')];
  try {
    const instances = (await source.get('/instances')) as string[];
    const config = join(settings.path, 'curl.conf');
    await writeFile(
      config,
      instances
        .map((id) => `url = "${source.url}/instances/${id}/file"\noutput = "${join(exported.path, id)}.dcm"`)
        .join('\n'),
    );
    const args = ['--silent', '--fail', '--parallel', '--parallel-max', String(atOnce), '--config', config];
    return inTurn(await measureProcess('curl', args, env), await then(exported.path));
  } finally {
    await Promise.all([exported.remove(), settings.remove()]);
  }
}

/** The total of two programs, run sequentially. */
export function inTurn(first: Timed, second: Timed): Timed {
  return {
    seconds: first.seconds + second.seconds,
    cpuSeconds: (first.cpuSeconds ?? 0) + (second.cpuSeconds ?? 0),
    peakBytes: Math.max(first.peakBytes ?? 0, second.peakBytes ?? 0),
  };
}
