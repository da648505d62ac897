import { needsSignIn } from '@dicom-dispatch/core';
import type { DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/** @throws OperationError `unavailable` if the configuration was not loaded from a file */
export function editContext({ operations, configuration }: ConsoleContext): DraftContext {
  if (!configuration)
    throw new OperationError('unavailable', 'this console was started without a configuration file that it can change');
  return { ...operations, store: configuration };
}

/** Why the configuration cannot be changed here, and the remedy. */
export function whyNoEditing({ config }: Pick<ConsoleContext, 'config'>): string | undefined {
  const { console } = config();
  if (!console.editing)
    return 'The file is managed elsewhere (console.editing is false): copy the change as a patch, and apply it there.';
  if (needsSignIn(console)) return undefined;
  return 'The console has no sign-in, so every account on this host could make the services run programs. To change the configuration here, set console.users ("dispatch config password" creates a password hash), console.tokens or console.oidc; or copy the change as a patch, and apply it manually.';
}

/** @throws OperationError `conflict` if the configuration cannot be changed here */
export function needEditing(context: Pick<ConsoleContext, 'config'>): void {
  const why = whyNoEditing(context);
  if (why !== undefined) throw new OperationError('conflict', why);
}

/** Whether the user may prepare changes of targets, groups and rules only: editors, and users if no sign-in is configured. */
export function isEditor(request: Pick<FastifyRequest, 'identity'>): boolean {
  const { identity } = request;
  return identity?.role === 'editor' || identity?.by === 'local';
}
