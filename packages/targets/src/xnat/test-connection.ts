import { DispatchError } from '@dicom-dispatch/core';
import { runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import { urlSteps } from '../checks/index.ts';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/index.ts';
import { xnatError } from './errors.ts';
import { isFixed } from './label.ts';
import type { XnatTarget } from './schema.ts';
import { XnatLogin } from './xnat-login.ts';

/** `resolve`, `connect`, `tls` (https), `login` and, for a project that does not depend on the study, `project`. */
export async function* testXnat({ config, signal }: CheckContext<XnatTarget>): AsyncGenerator<Check, void, undefined> {
  let http: HttpConnection | undefined;
  let login: XnatLogin | undefined;
  const opening = async (): Promise<XnatLogin> => {
    http ??= await HttpConnection.open(config, { connections: 1 });
    return (login ??= new XnatLogin(http));
  };
  try {
    yield* runChecks(
      [...urlSteps(new URL(config.url), config.connectTimeout, config.tls), ...serviceSteps(opening, config)],
      signal,
    );
  } finally {
    await login?.end();
    await http?.close();
  }
}

function serviceSteps(opening: () => Promise<XnatLogin>, config: XnatTarget): CheckStep[] {
  return [
    {
      name: 'login',
      async run(signal) {
        await (await opening()).begin(signal);
        return 'XNAT accepts the credentials';
      },
    },
    {
      name: 'project',
      async run(signal) {
        if (!isFixed(config.project)) return { skip: 'the project depends on the study' };
        const path = `/data/projects/${encodeURIComponent(config.project)}?format=json`;
        const answer = await (await opening()).request({ method: 'GET', path, signal });
        if (answer.status === 404 || answer.status === 403) {
          await answer.discard();
          throw new DispatchError(
            'target-misconfigured',
            `there is no project ${config.project}, or the user has no access to it`,
            {
              remedy: 'Create the project, or add the user as a member.',
            },
          );
        }
        if (answer.status !== 200) throw await xnatError(answer, 'the look at the project');
        await answer.discard();
        return `the project ${config.project} exists`;
      },
    },
  ];
}
