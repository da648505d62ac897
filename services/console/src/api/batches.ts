import {
  changeBatch,
  findBatchStudies,
  listBatches,
  readBatch,
  setBatchRate,
  startBatch,
  type BatchAction,
} from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { Batch } from '@dicom-dispatch/state/batches';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { batch, batchFilter, batchPreview, batchRequest, type BatchView } from '../views/batch-schemas.ts';
import { withoutIds } from '../views/summarize-studies.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['batches'];
const byId = z.object({ batch: z.string().max(40) });
const maxShown = 5;

const actions = {
  pause: 'Route no further study of a batch',
  resume: 'Go on with a batch',
  cancel: 'End a batch; what was routed stays routed',
} as const satisfies Readonly<Record<BatchAction, string>>;

/** Whether a description matches reveals its content, and a description may name a person. */
function refuseDescription({ description }: { readonly description?: string | undefined }, isAllowed: boolean): void {
  if (description === undefined || isAllowed) return;
  throw new OperationError(
    'invalid',
    'a filter by description is refused while console.patientData is false: leave it out, or start the batch with ./dispatch batch start',
  );
}

export function toBatch(of: Batch): BatchView {
  const { targets, epoch: _, ...rest } = of;
  return { ...rest, ...(targets && { targets: [...targets] }) };
}

export function addBatchRoutes(server: ApiServer, context: ConsoleContext): void {
  const { operations, lookup } = context;

  server.get(
    '/api/batches',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Routings of many studies, the newest first',
        response: answers(z.object({ batches: z.array(batch) })),
      },
    },
    async () => ({ batches: (await listBatches(operations)).map((one) => toBatch(one)) }),
  );

  server.post(
    '/api/batches/preview',
    {
      // It changes nothing; it is a POST for the filter in its body.
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'How many studies of a source a filter means',
        body: batchFilter,
        response: answers(batchPreview),
      },
    },
    async (request) => {
      const { source } = request.body;
      refuseDescription(request.body, lookup.showsPatientData);
      const ids = await findBatchStudies(operations, request.body, await lookup.client(source));
      const shown = lookup.showsPatientData ? ids.slice(0, maxShown) : [];
      const labels = await lookup.labels(source, shown);
      return {
        count: ids.length,
        sample: shown.map((orthancStudyId) => {
          const label = labels.get(orthancStudyId);
          return { orthancStudyId, ...(label && { label: withoutIds(label) }) };
        }),
      };
    },
  );

  server.post(
    '/api/batches',
    {
      config: { access: 'operator', action: 'start batch' },
      schema: {
        tags,
        summary: 'Route all studies of a source that a filter means',
        body: batchRequest,
        response: answers(batch),
      },
    },
    async (request) => {
      const { studiesPerMinute, ...order } = request.body;
      refuseDescription(order, lookup.showsPatientData);
      const orthanc = await lookup.client(order.source);
      const asked = { ...order, studiesPerMinute: studiesPerMinute ?? undefined };
      const started = await startBatch(operations, asked, orthanc, actorOf(request));
      const to = order.targets?.join(', ') ?? (order.rule === undefined ? 'the rules' : `the rule ${order.rule}`);
      request.auditSubject = started.id;
      // The description may name a person.
      request.auditDetail = `${started.total} studies of ${order.source}, by ${to}`;
      return toBatch(started);
    },
  );

  server.get(
    '/api/batches/:batch',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'How far a batch is', params: byId, response: answers(batch) },
    },
    async (request) => toBatch(await readBatch(operations, request.params.batch)),
  );

  for (const [action, summary] of Object.entries(actions) as [BatchAction, string][]) {
    server.post(
      `/api/batches/:batch/${action}`,
      {
        config: { access: 'operator', action: `${action} batch` },
        schema: { tags, summary, params: byId, response: answers(batch.extend({ did: z.string() })) },
      },
      async (request) => {
        const changed = await changeBatch(operations, (request.params as z.infer<typeof byId>).batch, action);
        return { ...toBatch(changed), did: whatWasDone(changed) };
      },
    );
  }

  server.put(
    '/api/batches/:batch/rate',
    {
      config: { access: 'operator', action: 'set batch rate' },
      schema: {
        tags,
        summary: 'How many studies of a batch are routed in a minute; null: no limit',
        params: byId,
        body: z.object({ studiesPerMinute: z.number().int().min(1).max(100_000).nullable() }),
        response: answers(batch),
      },
    },
    async (request) => {
      const { studiesPerMinute } = request.body;
      request.auditDetail = studiesPerMinute === null ? 'no limit' : `to ${studiesPerMinute} a minute`;
      return toBatch(await setBatchRate(operations, request.params.batch, studiesPerMinute ?? undefined));
    },
  );
}

function whatWasDone({ source, state, total, routed, skipped, failed }: Batch): string {
  const left = total - routed - skipped - failed;
  const what = { running: 'is running', paused: 'is paused', done: 'has ended', cancelled: 'is cancelled' }[state];
  return `The batch of ${source} ${what}: ${routed} of ${total} studies are routed, ${left} ${state === 'cancelled' ? 'are not' : 'remain'}.`;
}
