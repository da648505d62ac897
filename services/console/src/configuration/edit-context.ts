import { needsSignIn } from '@dicom-dispatch/core';
import type { DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

/** @throws OperationError `unavailable` where the configuration came from no file */
export function editContext({ operations, configuration }: ConsoleContext): DraftContext {
  if (!configuration)
    throw new OperationError('unavailable', 'this console was started without a configuration file that it can change');
  return { ...operations, store: configuration };
}

/** Why nobody may change the configuration here, and what to do. */
export function whyNoEditing({ config }: Pick<ConsoleContext, 'config'>): string | undefined {
  const { console } = config();
  if (!console.editing)
    return 'The file is managed elsewhere (console.editing is false): copy the change as a patch, and apply it there.';
  if (needsSignIn(console)) return undefined;
  return 'The console has no sign-in, so every account on this host could make the services run programs. To change the configuration here, set console.users ("dispatch config password" creates a password hash), console.tokens or console.oidc; or copy the change as a patch, and apply it manually.';
}

/** @throws OperationError `conflict` where the configuration is not changed here */
export function needEditing(context: Pick<ConsoleContext, 'config'>): void {
  const why = whyNoEditing(context);
  if (why !== undefined) throw new OperationError('conflict', why);
}

/** Who may prepare changes of targets, groups and rules only: editors, and whoever has not signed in. */
export function isEditor(request: Pick<FastifyRequest, 'identity'>): boolean {
  const { identity } = request;
  return identity?.role === 'editor' || identity?.by === 'local';
}
