import type { DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/** @throws OperationError `unavailable` where the configuration came from no file */
export function editContext({ operations, configuration }: ConsoleContext): DraftContext {
  if (!configuration)
    throw new OperationError(
      'unavailable',
      'this console was started without a configuration file that it could change',
    );
  return { ...operations, store: configuration };
}

/** @throws OperationError `conflict` where the configuration is kept elsewhere */
export function needEditing(context: ConsoleContext): void {
  if (context.config().console.editing) return;
  throw new OperationError(
    'conflict',
    'console.editing is false: copy the change as a patch, and apply it where the file is kept',
  );
}

export function isEditor(request: Pick<FastifyRequest, 'identity'>): boolean {
  return request.identity?.role === 'editor';
}
