import { redisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';

/**
 * Messages of the channel `<prefix>:reload`. First all check, and only if all can, all apply the checked
 * configuration.
 */
export const reloadCall = z.object({
  id: z.string().regex(/^[0-9a-f]{1,64}$/),
  step: z.enum(['check', 'apply', 'forget']),
  /** Of `check`: the candidate of this id is checked, which becomes the file before `apply`. */
  candidate: z.boolean().optional(),
});
export type ReloadCall = z.infer<typeof reloadCall>;

/** The result of a call in one process. */
export const reloadAnswer = z.object({
  process: z.string().describe('host and process id'),
  services: z.array(z.string()),
  file: z.string(),
  outcome: z
    .enum(['ready', 'applied', 'unchanged', 'refused'])
    .describe('ready: checked and valid; unchanged: it already uses this configuration'),
  reasons: z.array(z.string()).describe('why it was rejected'),
  restart: z.array(z.string()).describe('options that take effect at the next start'),
  notes: z.array(z.string()).default([]).describe('decisions that are due: targets with a new address'),
});
export type ReloadAnswer = z.infer<typeof reloadAnswer>;

/**
 * - channel `reload`: {@link ReloadCall}
 * - `reload:<id>:<step>`: process to {@link ReloadAnswer}, for a few minutes
 * - `reloads`: counts the apply messages, so that an unavailable process notices missed ones
 */
export function reloadKeys(prefix: string) {
  const keys = redisKeys(prefix);
  return {
    channel: keys.reloadChannel,
    answers: (call: ReloadCall) => keys.reloadAnswers(call.id, call.step),
    count: keys.reloads,
  };
}
