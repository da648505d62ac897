import { hostname } from 'node:os';
import type { TargetConfig } from '@dicom-dispatch/core';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { StudyLabel } from '../../source/source-lookup.ts';
import { codes, type AuditMessage, type Outcome, type Participant, type ParticipantObject } from './audit-message.ts';

/** Targets that receive files instead of DICOM: a delivery to them is an export (PS3.15 A.5.3.4). */
const fileTypes: ReadonlySet<string> = new Set(['azure', 'folder', 'sftp', 'rsync', 's3', 'xnat']);

const outcomes: Readonly<Partial<Record<DeliveryRecord['state'], Outcome>>> = { delivered: 0, partial: 4 };

/** The message of an ended delivery: a transfer (PS3.15 A.5.3.7) or an export (PS3.15 A.5.3.4). */
export function messageOfDelivery(
  record: DeliveryRecord,
  target: TargetConfig | undefined,
  label: StudyLabel | undefined,
): AuditMessage {
  const options = (target ?? {}) as unknown as Readonly<Record<string, unknown>>;
  const type = String(options['type'] ?? '');
  const where = placeOf(options);
  const isExport = fileTypes.has(type);
  const sender: Participant = {
    userId: record.worker ?? 'dicom-dispatch',
    userName: 'dicom-dispatch dispatcher',
    alternativeUserId: aeTitle(options['callingAeTitle']),
    isRequestor: true,
    role: codes.source,
    accessPoint: hostname(),
  };
  const receiver: Participant = {
    userId: isExport ? where : record.target,
    userName: record.target,
    alternativeUserId: aeTitle(options['calledAeTitle']),
    isRequestor: false,
    role: isExport ? codes.destinationMedia : codes.destination,
    accessPoint: where,
    ...(isExport && { media: codes.mediaUri }),
  };
  return {
    event: isExport ? codes.export : codes.instancesTransferred,
    // Whether the receiver already had the instances is unknown.
    action: 'R',
    at: record.endedAt ?? record.updatedAt,
    outcome: outcomes[record.state] ?? 8,
    outcomeDescription: record.state === 'delivered' ? undefined : `${record.state}: ${record.error?.code ?? ''}`,
    participants: [sender, receiver],
    objects: [studyObject(record, label), patientObject(label)],
  };
}

function studyObject(record: DeliveryRecord, label: StudyLabel | undefined): ParticipantObject {
  const anonymise = record.transform?.definition.anonymise;
  return {
    id: record.studyInstanceUid,
    idType: codes.studyInstanceUid,
    type: 2,
    role: 3,
    name: record.source,
    description: {
      accession: label?.accessionNumber,
      instances: record.state === 'delivered' ? record.total : record.confirmed,
      ...(anonymise !== undefined && { isAnonymized: true }),
    },
  };
}

function patientObject(label: StudyLabel | undefined): ParticipantObject {
  const { patientId = '', patientName = '' } = label ?? {};
  return { id: patientId || 'unknown', idType: codes.patientNumber, type: 1, role: 1, name: patientName };
}

/** Address of a target: a URI if it has one, otherwise its host. */
function placeOf(options: Readonly<Record<string, unknown>>): string {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const url = text('url') ?? text('endpoint');
  if (text('bucket') !== undefined) return `${url ?? 's3:/'}/${text('bucket')}`;
  if (url !== undefined) return withoutCredentials(url);
  const host = text('host');
  if (host === undefined) return text('path') === undefined ? hostname() : `file://${text('path')}`;
  return options['type'] === 'sftp' || options['type'] === 'rsync' ? `${String(options['type'])}://${host}` : host;
}

function withoutCredentials(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}

function aeTitle(value: unknown): string | undefined {
  return typeof value === 'string' ? `AETITLES=${value}` : undefined;
}
