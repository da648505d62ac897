import { textForEditors } from '@dicom-dispatch/operations';
import type { FastifyRequest } from 'fastify';
import { isEditor } from './edit-context.ts';

/** The text of a configuration for a user: administrators see all of it, editors their sections, without plain secrets. */
export function shownText(request: Pick<FastifyRequest, 'identity'>, text: string): string {
  return isEditor(request) ? textForEditors(text) : text;
}
