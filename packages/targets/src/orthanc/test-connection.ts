import { checkHttpService } from '../checks/http-checks.ts';
import type { CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import type { HttpConnection } from '../http/index.ts';
import { filteredOut, notOrthanc, orthancError } from './errors.ts';
import { probeInstance } from './probe-instance.ts';
import { readSystem } from './read-system.ts';
import type { OrthancTarget } from './schema.ts';
import { storedInstance } from './upload.ts';

/**
 * `resolve`, `connect`, `tls` (https), `login`, `permission` (an empty upload must be rejected for its content, not for
 * a missing permission) and, with `writeProbe`, `write` and `remove`.
 */
export async function* testOrthanc(context: CheckContext<OrthancTarget>): AsyncGenerator<Check, void, undefined> {
  const { config, signal } = context;
  const steps = (opening: () => Promise<HttpConnection>): CheckStep[] => serviceSteps(opening, config);
  yield* checkHttpService(new URL(config.url), config, steps, signal);
}

function serviceSteps(opening: () => Promise<HttpConnection>, config: OrthancTarget): CheckStep[] {
  let written: string | undefined;
  const steps: CheckStep[] = [
    {
      name: 'login',
      async run(signal) {
        const { Version: version } = await readSystem(await opening(), signal);
        return `Orthanc ${version} accepts ${config.auth.type === 'none' ? 'requests without credentials' : 'the credentials'}`;
      },
    },
    { name: 'permission', run: async (signal) => mayUpload(await opening(), signal) },
  ];
  if (!config.writeProbe) return steps;
  return [
    ...steps,
    {
      name: 'write',
      async run(signal) {
        written = await storeProbe(await opening(), signal);
        return 'a small instance was stored';
      },
    },
    {
      name: 'remove',
      async run(signal) {
        if (written === undefined) return { skip: 'nothing was written' };
        await removeProbe(await opening(), written, signal);
        return 'the small instance was removed';
      },
    },
  ];
}

async function mayUpload(http: HttpConnection, signal: AbortSignal): Promise<string> {
  const answer = await http.request({
    method: 'POST',
    path: '/instances',
    headers: { 'content-type': 'application/dicom' },
    body: () => 'not DICOM, a test request',
    signal,
  });
  // 400 means: allowed, but not a DICOM file.
  if (answer.status !== 400) throw await orthancError(answer, 'an upload');
  await answer.discard();
  return 'uploads are allowed';
}

async function storeProbe(http: HttpConnection, signal: AbortSignal): Promise<string> {
  const probe = probeInstance();
  const answer = await http.request({
    method: 'POST',
    path: '/instances',
    headers: { 'content-type': 'application/dicom' },
    body: () =>
      (async function* () {
        yield probe;
      })(),
    bodyBytes: probe.byteLength,
    signal,
  });
  if (answer.status !== 200) throw await orthancError(answer, 'the upload of a small instance');
  const stored = storedInstance.safeParse(await answer.json(65_536));
  if (!stored.success) throw notOrthanc(http.host);
  if (stored.data.Status === 'FilteredOut') throw filteredOut();
  return stored.data.ID;
}

async function removeProbe(http: HttpConnection, id: string, signal: AbortSignal): Promise<void> {
  const answer = await http.request({ method: 'DELETE', path: `/instances/${encodeURIComponent(id)}`, signal });
  if (answer.status !== 200) throw await orthancError(answer, 'the removal of a small instance');
  await answer.discard();
}
