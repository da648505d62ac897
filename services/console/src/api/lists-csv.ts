import { Readable } from 'node:stream';
import { csvLine } from '@dicom-dispatch/core';
import type { FastifyReply } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { listDeliveries } from '../views/list-deliveries.ts';
import { listStudies } from '../views/list-studies.ts';
import { selection, type Delivery, type StudySummary } from '../views/schemas.ts';
import { keyOf, labelsOf, noteSilent, type LabelWait } from '../views/summarize-studies.ts';
import type { ApiServer } from './api-server.ts';
import { studyQuery } from './studies.ts';

/** Maximum number of lines, and how many are read at once. */
const maxLines = 100_000;
const atOnce = 200;
/** A file waits longer for names than a page. */
const labelWaitMs = 30_000;

/**
 * The lists of studies and deliveries as files, with the filters of their pages. Times are UTC (ISO 8601). An incomplete file ends
 * with a line `# incomplete: …`.
 */
export function addListFiles(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/studies.csv',
    {
      config: { access: 'viewer', action: 'export studies' },
      schema: {
        tags: ['studies'],
        summary: 'Studies as CSV, a line for each target, at most 100,000 studies; a search as in the list',
        querystring: studyQuery.omit({ cursor: true, limit: true }),
      },
    },
    async (request, reply) => sendFile(reply, 'studies', studyLines(context, request.query)),
  );

  server.get(
    '/api/deliveries.csv',
    {
      config: { access: 'viewer', action: 'export deliveries' },
      schema: {
        tags: ['deliveries'],
        summary: 'Deliveries as CSV, the latest change first, at most 100,000',
        querystring: selection,
      },
    },
    async (request, reply) => sendFile(reply, 'deliveries', deliveryLines(context, request.query)),
  );
}

function sendFile(reply: FastifyReply, name: string, lines: AsyncGenerator<string>): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="${name}.csv"`)
    .send(Readable.from(lines));
}

const ofStudy = ['patient_name', 'patient_id', 'accession_number', 'study_description', 'study_date'] as const;
const ofDelivery = [
  'target',
  'state',
  'why',
  'confirmed',
  'total',
  'quarantined',
  'attempts',
  'error_stage',
  'error_code',
  'error',
  'changed_at',
  'delivery',
] as const;

async function* studyLines(
  context: ConsoleContext,
  query: Omit<Parameters<typeof listStudies>[1], 'limit' | 'cursor'>,
): AsyncGenerator<string> {
  yield csvLine(['source', 'study_instance_uid', 'orthanc_study_id', ...ofStudy, 'routed_at', ...ofDelivery]);
  const labelWait: LabelWait = { ms: labelWaitMs, silent: new Set() };
  const missing = new Set<string>();
  let cursor: string | undefined;
  let left = maxLines;
  do {
    const limit = Math.min(atOnce, left);
    const { studies, next, notSearched } = await listStudies(context, { ...query, cursor, limit, labelWait });
    const named = new Set(studies.filter(({ label }) => label).map((study) => keyOf(study)));
    await noteSilent(context, studies, (study) => named.has(keyOf(study)), labelWait);
    for (const note of notSearched) missing.add(note);
    for (const study of studies) {
      const cells = [study.source, study.studyInstanceUid, study.orthancStudyId, ...labelCells(study.label)];
      for (const delivery of study.deliveries.length > 0 ? study.deliveries : [undefined]) {
        yield csvLine([...cells, iso(study.routedAt), ...deliveryCells(delivery)]);
      }
    }
    cursor = next;
    left -= studies.length;
  } while (cursor !== undefined && left > 0);
  yield* lastLine(cursor !== undefined, labelWait.silent, missing);
}

async function* deliveryLines(
  context: ConsoleContext,
  query: Omit<Parameters<typeof listDeliveries>[1], 'limit' | 'cursor'>,
): AsyncGenerator<string> {
  yield csvLine(['source', 'study_instance_uid', 'orthanc_study_id', ...ofStudy, 'routed_at', ...ofDelivery]);
  const labelWait: LabelWait = { ms: labelWaitMs, silent: new Set() };
  let cursor: string | undefined;
  let left = maxLines;
  do {
    const { deliveries, next } = await listDeliveries(context, { ...query, cursor, limit: Math.min(atOnce, left) });
    const labels = await labelsOf(context, deliveries, undefined, labelWait);
    await noteSilent(context, deliveries, (delivery) => labels.has(keyOf(delivery)), labelWait);
    for (const delivery of deliveries) {
      const { source, studyInstanceUid, orthancStudyId, routedAt } = delivery;
      yield csvLine([
        source,
        studyInstanceUid,
        orthancStudyId,
        ...labelCells(labels.get(keyOf(delivery))),
        iso(routedAt),
        ...deliveryCells(delivery),
      ]);
    }
    cursor = next;
    left -= deliveries.length;
  } while (cursor !== undefined && left > 0);
  yield* lastLine(cursor !== undefined, labelWait.silent);
}

/** The line that describes missing data of the file; none if it is complete. */
function* lastLine(isCut: boolean, silent: ReadonlySet<string>, missing: Iterable<string> = []): Generator<string> {
  const notes = [
    ...(isCut ? [`There are more than ${maxLines}: choose a shorter time.`] : []),
    ...[...silent].map((source) => `${source} did not tell who its studies are.`),
    ...missing,
  ];
  if (notes.length > 0) yield `# incomplete: ${notes.join(' ')}\r\n`;
}

function labelCells(label: StudySummary['label']): (string | undefined)[] {
  return [label?.patientName, label?.patientId, label?.accessionNumber, label?.description, label?.studyDate];
}

function deliveryCells(delivery: Delivery | undefined): (string | number | undefined)[] {
  if (!delivery) return ofDelivery.map(() => undefined);
  const { error } = delivery;
  return [
    delivery.target,
    delivery.held ? 'held' : delivery.state,
    delivery.why,
    delivery.confirmed,
    delivery.total,
    delivery.quarantined,
    delivery.attempts,
    error?.stage,
    error?.code,
    error?.message,
    iso(delivery.updatedAt),
    delivery.deliveryId,
  ];
}

function iso(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
