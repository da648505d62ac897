import { DispatchError } from '@dicom-dispatch/core';
import { checkHttpService } from '../checks/http-checks.ts';
import type { CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { statusError, type HttpConnection } from '../http/index.ts';
import { greet } from './greet.ts';
import type { DicomwebTarget } from './schema.ts';
import { multipartType, newBoundary } from './boundary.ts';

/** UID of a study that does not exist. */
const noStudy = '2.25.1';

/**
 * The checks `resolve`, `connect`, `tls` (https), `token` (OAuth 2), `login`, `permission` (an empty upload must pass the checks of URL,
 * credentials and content type) and, with `verify: qido`, `search`. Nothing is stored, because the Standard has no way to delete it.
 */
export async function* testDicomweb(context: CheckContext<DicomwebTarget>): AsyncGenerator<Check, void, undefined> {
  const { config, signal } = context;
  const steps = (opening: () => Promise<HttpConnection>): CheckStep[] => serviceSteps(opening, config);
  yield* checkHttpService(new URL(config.stowUrl ?? config.url), config, steps, signal);
}

function serviceSteps(opening: () => Promise<HttpConnection>, config: DicomwebTarget): CheckStep[] {
  const steps: CheckStep[] = [];
  if (config.auth.type === 'oauth2') {
    const { host } = new URL(config.auth.tokenUrl);
    steps.push({
      name: 'token',
      async run(signal) {
        await (await opening()).authorize(signal);
        return `${host} issued an access token`;
      },
    });
  }
  steps.push(
    {
      name: 'login',
      async run(signal) {
        const { ability } = await greet(await opening(), config, noStudy, signal);
        const who = config.auth.type === 'none' ? 'requests without credentials' : 'the credentials';
        return `the service accepts ${who}${ability === 'yes' ? '' : '; it cannot be searched'}`;
      },
    },
    { name: 'permission', run: async (signal) => mayStore(await opening(), config, signal) },
  );
  if (config.verify === 'qido') {
    steps.push({
      name: 'search',
      async run(signal) {
        const { ability } = await greet(await opening(), config, noStudy, signal);
        if (ability === 'yes') return 'the service can be searched for verification';
        throw new DispatchError(
          ability === 'forbidden' ? 'target-unauthorized' : 'target-misconfigured',
          ability === 'forbidden'
            ? 'the credentials do not allow searches'
            : 'the service cannot be searched (QIDO-RS)',
          { remedy: 'Configure qidoUrl, allow searches at the target, or use verify: none.' },
        );
      },
    });
  }
  return steps;
}

async function mayStore(http: HttpConnection, config: DicomwebTarget, signal: AbortSignal): Promise<string> {
  const boundary = newBoundary();
  const answer = await http.request({
    method: 'POST',
    path: `${config.stowUrl ?? config.url}/studies${config.studyInPath ? `/${noStudy}` : ''}`,
    headers: { 'content-type': multipartType(boundary), accept: 'application/dicom+json' },
    body: () => `--${boundary}--\r\n`,
    signal,
  });
  await answer.discard();
  const { status, retryAfterMs } = answer;
  // Nothing was sent: 400, 409, 422 report exactly this. After 406, real uploads are repeated with XML.
  if (status < 300 || [400, 406, 409, 422].includes(status)) return 'uploads are allowed';
  throw statusError(status, { what: 'an empty upload', retryAfterMs });
}
