import { sendTestStudy, testModalities } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const longestMs = 30_000;

/** A synthetic study that shows whether a source, the rules and the targets work together. */
export function addTestStudyRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/sources/:source/test-study',
    {
      config: { access: 'administrator', action: 'send test study' },
      schema: {
        tags: ['sources'],
        summary: 'Store a small synthetic study in a source, marked as a test; the rules send it on as any other',
        params: z.object({ source: z.string().max(64) }),
        body: z.object({ modality: z.enum(testModalities).default('CT') }).default({ modality: 'CT' }),
        response: answers(
          z.object({ studyInstanceUid: z.string(), orthancStudyId: z.string(), instances: z.number() }),
        ),
      },
    },
    async (request) => {
      const { source } = request.params;
      const configured = context.config().sources[source];
      if (!configured) throw new OperationError('not-found', `there is no source "${source}"`);
      if (!configured.enabled)
        throw new OperationError(
          'conflict',
          `the source ${source} is disabled, and does not route the test study: enable it first`,
        );
      const orthanc = await context.lookup.client(source);
      const signal = AbortSignal.timeout(longestMs);
      const made = await sendTestStudy(orthanc, source, { modality: request.body.modality, signal });
      request.auditDetail = made.studyInstanceUid;
      return made;
    },
  );
}
