import { receiptCsv, type StudyReceipt } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { studyReceipt } from '../views/schemas.ts';
import { showReceipt } from '../views/show-instances.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const params = z.object({
  source: z.string().max(64),
  study: z
    .string()
    .max(64)
    .describe("Orthanc's id of the study, or its Study Instance UID where only one study has it"),
});
const querystring = z.object({ target: z.string().max(64).optional().describe('only this target') });

/** Receipts of the instances of a study that targets have confirmed, as JSON and as a file. */
export function addReceiptRoutes(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/studies/:source/:study/receipt',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['studies'],
        summary: 'What targets have confirmed of a study, instance by instance',
        params,
        querystring,
        response: answers(studyReceipt),
      },
    },
    async (request) => jsonOf(await showReceipt(context, request.params, request.query.target)),
  );

  server.get(
    '/api/studies/:source/:study/receipt.csv',
    {
      config: { access: 'viewer' },
      schema: { tags: ['studies'], summary: 'The same as CSV, a line for each instance', params, querystring },
    },
    async (request, reply) => {
      const receipt = await showReceipt(context, request.params, request.query.target);
      const name = `receipt-${receipt.orthancStudyId.replaceAll(/[^\w-]/g, '')}.csv`;
      return reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(receiptCsv(receipt));
    },
  );
}

function jsonOf(receipt: StudyReceipt): z.infer<typeof studyReceipt> {
  return {
    ...receipt,
    targets: receipt.targets.map((one) => ({ ...one, deliveries: [...one.deliveries], lines: [...one.lines] })),
  };
}
