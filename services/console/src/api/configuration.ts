import { OperationError } from '@dicom-dispatch/pipeline';
import { reloadAnswer, reloadEverywhere, type ReloadResult } from '@dicom-dispatch/runtime';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['system'];

export function addConfigurationRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/configuration/reload',
    {
      config: { access: 'administrator', action: 'reload configuration' },
      schema: {
        tags,
        summary: 'Let all services read their configuration again: all check it first, and apply it only when all can',
        response: answers(z.object({ answers: z.array(reloadAnswer).describe('one of each process') })),
      },
    },
    async (request) => {
      const result = await reloadEverywhere(context.redis, context.config().redis.prefix);
      request.auditDetail = result.outcome;
      if (result.outcome === 'applied') return { answers: [...result.answers] };
      throw new OperationError(result.outcome === 'refused' ? 'invalid' : 'unavailable', whyNot(result));
    },
  );
}

/** Why a reload failed, one line for each process. */
function whyNot({ outcome, answers: given, missing }: ReloadResult): string {
  const lines = given.flatMap(({ process, services, reasons }) =>
    reasons.map((reason) => `${services.join(', ')} (${process}): ${reason}`),
  );
  const silent = missing > 0 ? [`${missing} ${missing === 1 ? 'process has' : 'processes have'} not answered`] : [];
  const start = {
    refused: 'The configuration is refused; the former one stays in use.',
    partial: 'Not every service uses the new configuration.',
    silent: 'No service has answered.',
    applied: '',
  }[outcome];
  return [start, ...lines, ...silent].join('\n');
}
