import { Readable } from 'node:stream';
import { csvLine } from '@dicom-dispatch/core';
import { z } from 'zod';
import type { AuditEntry, AuditLog } from '../audit/index.ts';
import type { ConsoleContext } from '../console-context.ts';
import type { ApiServer } from './api-server.ts';

const columns = ['at', 'who', 'role', 'action', 'subject', 'outcome', 'detail', 'address', 'hash'] as const;

/** The complete audit log as a file, streamed. */
export function addAuditExport(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/audit/export',
    {
      config: { access: 'administrator', action: 'export audit log' },
      schema: {
        tags: ['system'],
        summary: 'The whole audit log, the oldest first',
        querystring: z.object({ format: z.enum(['csv', 'jsonl']).default('csv') }),
      },
    },
    (request, reply) => {
      const { format } = request.query;
      void reply
        .type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl')
        .header('content-disposition', `attachment; filename="audit.${format}"`);
      return reply.send(Readable.from(format === 'csv' ? csvLines(context.audit) : jsonLines(context.audit)));
    },
  );
}

async function* jsonLines(audit: AuditLog): AsyncGenerator<string> {
  for await (const entry of audit.all()) yield `${JSON.stringify({ ...entry, at: time(entry) })}\n`;
}

async function* csvLines(audit: AuditLog): AsyncGenerator<string> {
  yield csvLine(columns);
  for await (const entry of audit.all()) {
    yield csvLine(columns.map((column) => (column === 'at' ? time(entry) : entry[column])));
  }
}

function time(entry: AuditEntry): string {
  return new Date(entry.at).toISOString();
}
