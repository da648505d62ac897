import type { DeliveryData, Stage } from '@dicom-dispatch/core';
import { indexedState, type DeliverySelection } from './delivery-index.ts';
import { decodeData, storedJson } from './stored-form.ts';
import type { DeliveryRecord, DeliveryState, FromNow, WakeKind } from './record-types.ts';

/** Whether a record still matches the index entry by which it was found; whether it is held is not checked. */
export function isMeant(record: DeliveryRecord, selection: DeliverySelection): boolean {
  const { state, target, stage, code, rule, source } = selection;
  if (state !== undefined && record.state !== indexedState(state)) return false;
  if (target !== undefined && record.target !== target) return false;
  if (stage !== undefined && (record.failStage ?? record.error?.stage) !== stage) return false;
  if (code !== undefined && record.error?.code !== code) return false;
  if (rule !== undefined && !record.rules.includes(rule)) return false;
  return source === undefined || record.source === source;
}

/** A field of the hash of a delivery; empty means that it is removed, `+5000` means 5000 ms from now. */
export function encodeField(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'object' && 'fromNowMs' in value) return `+${(value as FromNow).fromNowMs}`;
  return typeof value === 'object' ? storedJson(value) : String(value);
}

/** The record in the hash of a delivery, as a list; empty if the delivery does not exist. */
export function decodeDelivery(fields: Readonly<Record<string, string>>, id: string): DeliveryRecord[] {
  if (fields['data'] === undefined) return [];
  const data = decodeData(fields['data'], id);
  const time = (name: string): number | undefined => (fields[name] === undefined ? undefined : Number(fields[name]));
  return [
    {
      ...data,
      replaces: fields['replaces'],
      priority: (fields['priority'] as DeliveryData['priority'] | undefined) ?? data.priority,
      state: fields['state'] as DeliveryState,
      stage: (fields['stage'] as Stage | undefined) ?? (fields['state'] === 'delivered' ? 'finalize' : undefined),
      failStage: fields['failStage'] as Stage | undefined,
      attempts: Number(fields['attempts'] ?? 0),
      total: Number(fields['total'] ?? data.instanceCount),
      confirmed: Number(fields['confirmed'] ?? 0),
      quarantined: Number(fields['quarantined'] ?? 0),
      bytesSent: Number(fields['bytesSent'] ?? 0),
      error: fields['error'] === undefined ? undefined : (JSON.parse(fields['error']) as DeliveryRecord['error']),
      worker: fields['worker'],
      startedAt: time('startedAt'),
      endedAt: time('endedAt'),
      retriedAt: time('retriedAt'),
      nextAttemptAt: time('nextAttemptAt'),
      ledger: fields['ledger'],
      place: fields['place'],
      notice: fields['notice'],
      mayBeLost: fields['mayBeLost'] === 'true',
      resolution:
        fields['resolution'] === undefined
          ? undefined
          : (JSON.parse(fields['resolution']) as DeliveryRecord['resolution']),
      updatedAt: Number(fields['updatedAt'] ?? data.routedAt),
      wake: fields['wake'] as WakeKind | undefined,
      failures: Number(fields['failures'] ?? 0),
      waits: Number(fields['waits'] ?? 0),
      losses: Number(fields['losses'] ?? 0),
      since: Math.max(Number(fields['since'] ?? data.routedAt), time('retriedAt') ?? 0),
      anyway: fields['anyway'] === 'true',
      lock: fields['lock'],
      token: fields['token'],
    },
  ];
}
